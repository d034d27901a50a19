use serde_json::json;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

fn png() -> Media {
    Media::from_bytes("image/png", PNG)
}

#[test]
fn as_json_it_is_its_hash_and_never_its_content() {
    let attachment = png().image().unwrap();
    let written = serde_json::to_value(&attachment).unwrap();
    let expected = json!({
        "kind": "image",
        "media_type": "image/png",
        "sha256": "f02a830cf03a1cf756c0461481db682bc9254a5a399f847494d33850c3ff7156",
        "size": 12,
    });
    assert_eq!(written, expected);
    let read: Attachment = serde_json::from_value(written).unwrap();
    assert_eq!(read.identity(), attachment.identity());
    assert!(matches!(read.content, Content::Bytes { data: None, .. }));
}

#[test]
fn files_are_read_when_they_are_needed_and_known_by_what_is_in_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dot.txt");
    let media = Media::from_path(&path);
    std::fs::write(&path, PNG).unwrap();
    let attachment = media.image().unwrap();
    assert_eq!(attachment.media_type.as_deref(), Some("image/png"));
    assert_eq!(attachment.name.as_deref(), Some("dot.txt"));
    assert_eq!(attachment.identity(), png().image().unwrap().identity());
    std::fs::write(&path, "some words").unwrap();
    // It is read once.
    assert!(media.image().is_ok());
    let text = Media::from_path(&path).document().unwrap();
    assert_eq!(text.media_type.as_deref(), Some("text/plain"));
}

#[test]
fn what_cannot_be_shown_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("what.bin");
    let error = |media: &Media| media.image().unwrap_err();
    assert!(matches!(
        error(&Media::from_path(&path)),
        MediaError::Unreadable { .. }
    ));
    std::fs::write(&path, "???").unwrap();
    assert!(matches!(
        error(&Media::from_path(&path)),
        MediaError::UnknownType { .. }
    ));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(
        error(&Media::from_path(&path)),
        MediaError::Empty { .. }
    ));
    assert_eq!(
        error(&png().with_limit(11)).to_string(),
        "the data has 12 bytes, and 11 are allowed; make it smaller, or allow more with `Media::with_limit`"
    );
    assert_eq!(
        png().document().unwrap_err().to_string(),
        "the data is image/png, where a document is wanted"
    );
    assert!(matches!(
        error(&Media::from_url("file:///etc/passwd")),
        MediaError::NoUrl { .. }
    ));
}

#[test]
fn a_url_tells_its_type_by_the_end_of_its_path() {
    let url = Media::from_url("https://example.com/a.JPG?size=2");
    let attachment = url.image().unwrap();
    assert_eq!(attachment.media_type.as_deref(), Some("image/jpeg"));
    assert!(url.document().is_err());
    let unknown = Media::from_url("https://example.com/a").document().unwrap();
    assert_eq!(
        (unknown.media_type.as_deref(), unknown.words()),
        (None, "document")
    );
}

#[test]
fn json_gives_urls_and_data_but_no_paths() {
    let data = json!("data:image/png;base64,iVBORw0KGgpyZXN0");
    let media = Media::from_json(&data).unwrap();
    assert_eq!(media, png());
    let url = Media::from_json(&json!({"url": "https://a.b/c", "media_type": "image/gif"}));
    let attachment = url.unwrap().image().unwrap();
    assert_eq!(attachment.media_type.as_deref(), Some("image/gif"));
    for wrong in [
        json!("/etc/passwd"),
        json!({"path": "/etc/passwd"}),
        json!(3),
        json!("data:image/png,x"),
        json!("data:image/png;base64,?"),
        json!({"sha256": "00"}),
    ] {
        assert!(Media::from_json(&wrong).is_err(), "{wrong}");
    }
}
