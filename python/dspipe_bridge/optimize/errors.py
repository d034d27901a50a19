"""What goes wrong, in the classes that the protocol has."""

from typing import Any, Literal

ErrorClass = Literal["retry", "restart", "fatal", "cancelled", "budget"]
"""What the other side can do: send it again, start a new bridge, give up, or report that it was wanted."""


class BadRequest(Exception):
    """A message from the host that cannot be honoured; it says where and why."""


class Abort(BaseException):
    """Ends a job at once.

    Not an `Exception`: DSPy's optimizers catch those, score zero and finish as if all had gone well.
    """

    def __init__(self, kind: ErrorClass, code: str, message: str) -> None:
        """`code` is for programs, `message` for people."""
        super().__init__(message)
        self.kind: ErrorClass = kind
        self.code = code
        self.message = message

    def to_json(self) -> dict[str, Any]:
        """As the `error` of a response."""
        return {"class": self.kind, "code": self.code, "message": self.message}


class StepFailed(Exception):
    """A run of the workflow that failed. The example scores zero and the optimization goes on."""


def from_host(error: object) -> Abort:
    """The host's `error` as what it does to a job; one that is not understood is fatal."""
    if not isinstance(error, dict):
        return Abort("fatal", "protocol", "the host answered with an error that is not an object")
    kind = error.get("class")
    message = str(error.get("message", "the host gave no reason"))
    code = str(error.get("code", "host"))
    match kind:
        case "retry" | "restart" | "fatal" | "cancelled" | "budget":
            return Abort(kind, code, message)
    return Abort("fatal", "protocol", f"an error of the unknown class {kind!r}: {message}")
