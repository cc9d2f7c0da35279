"""RESP from a client's side: requests to bytes, bytes to replies.

Replies become int, bytes, None (null bulk and null array), list, Simple (a
status such as OK) and Error; with RESP3 also bool, float, Map, Set, Push and
Verbatim.  An incremental parser, because the tests that need it look at many
half-answered connections at once.
"""


class Simple(bytes):
    """+OK: equal to b"OK", but told apart from a bulk string by type."""


class Error(bytes):
    """-ERR text: the bytes after the minus sign."""


class Verbatim(bytes):
    """=15 txt:Some string: with its three letters."""


class Map(list):
    """%2: a list of keys and values in turn."""


class Set(list):
    """~2"""


class Push(list):
    """>2"""


class ProtocolError(Exception):
    """The server sent what is not RESP."""


def encode(args):
    """One request.  Arguments: bytes, str, int or float."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, bytes):
            arg = str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(parts)


class _NeedMore(Exception):
    pass


class Parser:
    """feed() bytes as they come; take() replies as they are complete."""

    def __init__(self):
        self.data = bytearray()
        self.at = 0

    def feed(self, data):
        if self.at:
            del self.data[:self.at]
            self.at = 0
        self.data += data

    def take(self):
        """A list of all complete replies."""
        replies = []
        while self.at < len(self.data):
            start = self.at
            try:
                replies.append(self._one())
            except _NeedMore:
                self.at = start
                break
        return replies

    def rest(self):
        """Bytes of an incomplete reply."""
        return bytes(self.data[self.at:])

    def _one(self):
        data = self.data
        end = data.find(b"\r\n", self.at)
        if end < 0:
            raise _NeedMore
        kind = data[self.at]
        line = bytes(data[self.at + 1:end])
        self.at = end + 2
        if kind == 36 or kind == 61:  # $ =
            size = int(line)
            if size < 0:
                return None
            stop = self.at + size
            if stop + 2 > len(data):
                raise _NeedMore
            value = bytes(data[self.at:stop])
            self.at = stop + 2
            return value if kind == 36 else Verbatim(value)
        if kind == 58:  # :
            return int(line)
        if kind == 43:  # +
            return Simple(line)
        if kind == 45:  # -
            return Error(line)
        if kind == 42:  # *
            size = int(line)
            if size < 0:
                return None
            return [self._one() for _ in range(size)]
        if kind == 37:  # %
            return Map(self._one() for _ in range(2 * int(line)))
        if kind == 126:  # ~
            return Set(self._one() for _ in range(int(line)))
        if kind == 62:  # >
            return Push(self._one() for _ in range(int(line)))
        if kind == 95:  # _
            return None
        if kind == 35:  # #
            return line == b"t"
        if kind == 44:  # ,
            return float(line)
        if kind == 40:  # (
            return int(line)
        raise ProtocolError(f"a reply begins with {bytes(data[end - 80:end])!r}")
