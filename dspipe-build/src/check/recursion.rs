//! Types that contain themselves: which places need a `Box`, and which types never end.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostics};
use crate::ir::{Home, Type, TypeDef, TypeDefKind, TypeKind};
use crate::library::Library;

/// Boxes what must be, and reports types of which no value can exist.
pub(super) fn resolve(types: &mut [TypeDef], library: &Library, diagnostics: &mut Diagnostics) {
    // Only what has a name can be referred to by what is inside of it.
    if types.iter().all(|def| def.home != Home::Workflow) {
        return;
    }
    let anywhere: Vec<Vec<usize>> = types.iter().map(|def| parts(def, &contained)).collect();
    for (index, recursive) in in_circles(&anywhere).into_iter().enumerate() {
        types[index].recursive = recursive;
    }
    let endless = endless(types);
    for (index, def) in types.iter().enumerate() {
        if endless[index] && def.recursive {
            report(def, library, diagnostics);
        }
    }
    let by_value: Vec<Vec<usize>> = types.iter().map(|def| parts(def, &held)).collect();
    let circles = in_circles(&by_value);
    for index in 0..types.len() {
        if !circles[index] {
            continue;
        }
        let leads_back = |ty: &Type| held(ty).is_some_and(|to| reaches(&by_value, to, index));
        let endless = endless[index];
        match &mut types[index].kind {
            TypeDefKind::Struct(fields) => {
                for field in fields {
                    let optional = matches!(field.ty.kind, TypeKind::Optional(_));
                    field.boxed = (optional || endless) && leads_back(&field.ty);
                }
            }
            TypeDefKind::Union(alternatives) => {
                for alternative in alternatives {
                    alternative.boxed = leads_back(&alternative.ty);
                }
            }
            TypeDefKind::Enum(_) => {}
        }
    }
}

fn report(def: &TypeDef, library: &Library, diagnostics: &mut Diagnostics) {
    let named = library.types().iter().find(|named| {
        // By its source line and name; inner types are reported with the one that has a name.
        super::names::type_name(&[&named.name.value], Home::Workflow) == def.ident
    });
    let Some(named) = named else {
        return;
    };
    diagnostics
        .error(
            Code::InfiniteType,
            named.name.span,
            format!("a `{}` always contains another one", named.name),
        )
        .label("no value could ever be complete")
        .help("make the property that leads back optional, or a list");
}

/// The types that a type names, each by `of`.
fn parts(def: &TypeDef, of: &dyn Fn(&Type) -> Option<usize>) -> Vec<usize> {
    match &def.kind {
        TypeDefKind::Struct(fields) => fields.iter().filter_map(|field| of(&field.ty)).collect(),
        TypeDefKind::Union(all) => all.iter().filter_map(|one| of(&one.ty)).collect(),
        TypeDefKind::Enum(_) => Vec::new(),
    }
}

/// The generated type in a type, however deep.
fn contained(ty: &Type) -> Option<usize> {
    match &ty.kind {
        TypeKind::List(inner) | TypeKind::Map(inner) | TypeKind::Optional(inner) => {
            contained(inner)
        }
        _ => held(ty),
    }
}

/// The generated type that a value of a type holds in place.
fn held(ty: &Type) -> Option<usize> {
    match &ty.kind {
        TypeKind::Optional(inner) => held(inner),
        TypeKind::Struct(reference) | TypeKind::Union(reference) => Some(reference.0),
        _ => None,
    }
}

/// Which nodes lie on a circle: what is left when nodes without a way in or out are taken away, and then
/// only those that lead back to themselves.
fn in_circles(edges: &[Vec<usize>]) -> Vec<bool> {
    let mut left = vec![true; edges.len()];
    let mut back: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut ways_in = vec![0_usize; edges.len()];
    let mut ways_out = vec![0_usize; edges.len()];
    for (from, all) in edges.iter().enumerate() {
        ways_out[from] = all.len();
        for to in all {
            ways_in[*to] += 1;
            back.entry(*to).or_default().push(from);
        }
    }
    let mut ready: Vec<usize> = (0..edges.len())
        .filter(|node| ways_in[*node] == 0 || ways_out[*node] == 0)
        .collect();
    while let Some(node) = ready.pop() {
        if !std::mem::replace(&mut left[node], false) {
            continue;
        }
        for to in &edges[node] {
            ways_in[*to] -= 1;
            if left[*to] && ways_in[*to] == 0 {
                ready.push(*to);
            }
        }
        for from in back.get(&node).into_iter().flatten() {
            ways_out[*from] -= 1;
            if left[*from] && ways_out[*from] == 0 {
                ready.push(*from);
            }
        }
    }
    (0..edges.len())
        .map(|node| left[node] && edges[node].iter().any(|next| reaches(edges, *next, node)))
        .collect()
}

fn reaches(edges: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        if node == to {
            return true;
        }
        if !std::mem::replace(&mut seen[node], true) {
            open.extend(&edges[node]);
        }
    }
    false
}

/// Types of which no value can be complete: found by taking for ending whatever ends surely.
fn endless(types: &[TypeDef]) -> Vec<bool> {
    let mut endless = vec![true; types.len()];
    loop {
        let mut changed = false;
        for (index, def) in types.iter().enumerate() {
            let ends = |ty: &Type| match &ty.kind {
                TypeKind::Struct(inner) | TypeKind::Union(inner) => !endless[inner.0],
                _ => true,
            };
            let now = match &def.kind {
                TypeDefKind::Enum(_) => true,
                TypeDefKind::Struct(fields) => fields.iter().all(|field| ends(&field.ty)),
                TypeDefKind::Union(all) => all.is_empty() || all.iter().any(|one| ends(&one.ty)),
            };
            if now && endless[index] {
                endless[index] = false;
                changed = true;
            }
        }
        if !changed {
            return endless;
        }
    }
}
