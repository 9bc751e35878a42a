"""The client's own failure: nobody answers. What a server refuses is a `TenureError` with its code."""


class ServerUnreachable(ConnectionError):
    """No server answers. The text says where it was looked for, why that failed, and the way out."""

    def __init__(self, address: str, reason: str, way_out: str) -> None:
        super().__init__(f"{address} can't be reached: {reason}. {way_out}")
        self.address = address
        self.reason = reason
        self.way_out = way_out
