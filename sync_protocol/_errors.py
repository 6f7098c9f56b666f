"""Two errors: the caller broke a rule, or the peer did. Neither knows of HTTP."""


class ProtocolError(Exception):
    """A rule of the protocol was broken. `code` is a word that programs may rely on; the text says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class LocalProtocolError(ProtocolError):
    """The caller broke the rule: it asked for something that must never be sent or stored."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the rule: what it sent cannot be understood, or must not be trusted."""
