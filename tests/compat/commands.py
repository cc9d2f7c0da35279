"""Random requests of the families that Walden has.

Names say what a key usually holds ("str:3", "lst:1", "hsh:0"), so that most
requests do something; now and then a key of another kind is taken, an
argument is dropped, added or spoiled, so that every error is met too.

Expiry times are far ahead or long past: what happens around the moment of
expiry is the driver's business (see differential.py).
"""

import time

DATABASES = 4
STRINGS, LISTS, HASHES = 10, 8, 8
FAR_S = 100_000

INTEGERS = (b"0", b"1", b"-1", b"2", b"3", b"10", b"-7", b"100", b"12345",
            b"9223372036854775807", b"-9223372036854775808",
            b"9223372036854775806", b"9223372036854775808",
            b"4611686018427387904")
FLOATS = (b"0.1", b"1.5", b"-3.25", b"3.0e3", b"1e17", b"0.000001", b"1e-7",
          b"5.67", b"100", b"inf", b"-inf", b"nan", b"1e400", b"-0",
          b"123456789.123456789")
SPOILED = (b"", b"abc", b"1.5x", b" 1", b"1 ", b"0x10", b"+5", b"007",
           b"-0", b"\x00\xff", b"1e2", b"99999999999999999999")


class Commands:
    """Invents requests from a random.Random."""

    def __init__(self, rng):
        self.rng = rng
        self.families = [
            (35, self.string), (30, self.list), (26, self.hash),
            (26, self.key), (4, self.server)]
        self.weights = [weight for weight, _ in self.families]

    # ---- arguments ---------------------------------------------------------

    def other_key(self):
        kind, count = self.rng.choice(
            ((b"str", STRINGS), (b"lst", LISTS), (b"hsh", HASHES),
             (b"any", 6)))
        return b"%s:%d" % (kind, self.rng.randrange(count))

    def named(self, kind, count):
        if self.rng.random() < 0.06:
            return self.other_key()
        return b"%s:%d" % (kind, self.rng.randrange(count))

    def bits(self):
        return b"bit:%d" % self.rng.randrange(3)

    def bit(self):
        if self.rng.random() < 0.95:
            return b"%d" % self.rng.randrange(
                self.rng.choice((64, 40_000, 400_000)))
        return self.rng.choice(INTEGERS + SPOILED)

    def small(self):
        return b"lcs:%d" % self.rng.randrange(3)

    def s(self):
        return self.named(b"str", STRINGS)

    def l(self):  # noqa: E743
        if self.rng.random() < 0.25:
            return self.waited()
        return self.named(b"lst", LISTS)

    def waited(self):
        """A key that is a list or nothing, for clients that wait for several:
        if one of them has become something else, 7.2 answers WRONGTYPE when
        another one is served, and 7.0 serves it."""
        return b"blk:%d" % self.rng.randrange(4)

    def h(self):
        return self.named(b"hsh", HASHES)

    def field(self):
        if self.rng.random() < 0.02:
            return self.value()
        return b"f%d" % self.rng.randrange(
            20 if self.rng.random() < 0.9 else 400)

    def item(self):
        if self.rng.random() < 0.85:
            return b"%d" % self.rng.randrange(12)
        return self.value()

    def value(self):
        choice = self.rng.random()
        if choice < 0.3:
            return b"%d" % self.rng.getrandbits(self.rng.choice((4, 16, 60)))
        if choice < 0.4:
            return self.rng.choice(INTEGERS)
        if choice < 0.5:
            return self.rng.choice(FLOATS)
        if choice < 0.9:
            return self.rng.randbytes(self.rng.randrange(0, 80))
        if choice < 0.985:
            return self.rng.randbytes(self.rng.randrange(20, 900))
        size = self.rng.choice((4095, 4096, 4097, 5000, 16383, 16384, 16385,
                                20000, 33000, 70000))
        piece = self.rng.randbytes(50)
        return (piece * (size // 50 + 1))[:size]

    def integer(self):
        if self.rng.random() < 0.8:
            return b"%d" % self.rng.randint(-20, 20)
        return self.rng.choice(INTEGERS)

    def real(self):
        if self.rng.random() < 0.6:
            return b"%d.%d" % (self.rng.randint(-99, 99),
                               self.rng.randrange(1000))
        return self.rng.choice(FLOATS)

    def index(self):
        if self.rng.random() < 0.95:
            return b"%d" % self.rng.randint(-8, 12)
        return self.rng.choice((b"-1000", b"1000", b"100000"))

    def offset(self):
        if self.rng.random() < 0.9:
            return b"%d" % self.rng.randint(-2, 100)
        return b"%d" % self.rng.choice((4090, 4096, 5000, 16380, 16384, 40000,
                                        90000))

    def end(self):
        return self.rng.choice((b"LEFT", b"RIGHT", b"left", b"Right"))

    def db(self):
        return b"%d" % self.rng.randrange(DATABASES)

    def some(self, make, most=4):
        return [make() for _ in range(self.rng.randint(1, most))]

    def maybe(self, *options):
        """One of the options (a list of words) or none."""
        if self.rng.random() < 0.6:
            return []
        return list(self.rng.choice(options))

    def expiry(self, past=()):
        """EX, PX, EXAT or PXAT with a time far ahead or, rarely, one of past.
        What SET makes with a time in the past is counted by DBSIZE until the
        server happens to look: nothing to compare."""
        now = int(time.time())
        ahead = self.rng.randrange(1, 1000) + FAR_S
        if self.rng.random() < 0.1:
            return self.rng.choice((
                *past, [b"EX", b"0"], [b"PX", b"-5"],
                [b"EX", b"9223372036854775807"]))
        return self.rng.choice((
            [b"EX", b"%d" % ahead], [b"PX", b"%d" % (ahead * 1000)],
            [b"EXAT", b"%d" % (now + ahead)],
            [b"pxat", b"%d" % ((now + ahead) * 1000)]))

    # ---- families ----------------------------------------------------------

    def random(self):
        """One request."""
        make = self.rng.choices(self.families, self.weights)[0][1]
        return self.spoil(make())

    def spoil(self, args):
        if self.rng.random() > 0.02:
            return args
        args = list(args)
        what = self.rng.randrange(4)
        if what == 0 and len(args) > 1:
            del args[self.rng.randrange(1, len(args))]
        elif what == 1:
            args.insert(self.rng.randint(1, len(args)),
                        self.rng.choice(SPOILED))
        elif what == 2 and len(args) > 2:
            args[self.rng.randrange(2, len(args))] = self.rng.choice(SPOILED)
        else:
            args[0] = args[0].lower()
        # A spoiled argument may name a timeout or a count too large to wait
        # for; what blocks is the driver's business.
        return args

    def string(self):
        s, value = self.s, self.value
        return self.rng.choice((
            lambda: [b"SET", s(), value()],
            lambda: [b"SET", s(), value()],
            lambda: [b"SET", s(), self.integer()],
            lambda: [b"SET", s(), value()] + self.maybe([b"NX"], [b"XX"])
            + self.maybe([b"GET"]) + self.maybe(self.expiry(), [b"KEEPTTL"]),
            lambda: [b"GET", s()],
            lambda: [b"GET", s()],
            lambda: [b"GETSET", s(), value()],
            lambda: [b"GETDEL", s()],
            lambda: [b"GETEX", s()] + self.maybe(
                self.expiry(([b"EXAT", b"100"], [b"PXAT", b"1000"])),
                [b"PERSIST"]),
            lambda: [b"MGET"] + self.some(s),
            lambda: [b"MSET"] + [x for _ in range(self.rng.randint(1, 4))
                                 for x in (s(), value())],
            lambda: [b"MSETNX"] + [x for _ in range(self.rng.randint(1, 2))
                                   for x in (s(), value())],
            lambda: [b"APPEND", s(), value()],
            lambda: [b"STRLEN", s()],
            lambda: [b"GETRANGE", s(), self.offset(), self.offset()],
            lambda: [b"SUBSTR", s(), self.index(), self.index()],
            lambda: [b"SETRANGE", s(), self.offset(), value()],
            lambda: [b"INCR", s()],
            lambda: [b"DECR", s()],
            lambda: [b"INCRBY", s(), self.integer()],
            lambda: [b"DECRBY", s(), self.integer()],
            lambda: [b"INCRBYFLOAT", s(), self.real()],
            lambda: [b"SETEX", s(), b"%d" % (FAR_S + 7), value()],
            lambda: [b"PSETEX", s(), b"%d" % (FAR_S * 1000 + 7), value()],
            lambda: [b"SETNX", s(), value()],
            # Names of their own: a bit that is set already makes any string
            # "raw" in Redis, and changes nothing here.
            lambda: [b"SETBIT", self.bits(), self.bit(),
                     b"%d" % self.rng.randrange(2)],
            lambda: [b"GETBIT", self.bits(), self.bit()],
            lambda: [b"STRLEN", self.bits()],
            # Likewise: LCS takes the product of both lengths.
            lambda: [b"SET", self.small(),
                     bytes(self.rng.choices(b"abcd", k=self.rng.randrange(50)))
                     ],
            lambda: [b"LCS", self.small(), self.small()] + self.maybe(
                [b"LEN"], [b"IDX"], [b"IDX", b"WITHMATCHLEN"],
                [b"IDX", b"MINMATCHLEN", b"2"]),
        ))()

    def list(self):
        l, item = self.l, self.item  # noqa: E741
        return self.rng.choice((
            lambda: [b"LPUSH", l()] + self.some(item, 6),
            lambda: [b"RPUSH", l()] + self.some(item, 6),
            lambda: [b"RPUSH", l()] + self.some(item, 40),
            lambda: [b"LPUSHX", l()] + self.some(item),
            lambda: [b"RPUSHX", l()] + self.some(item),
            lambda: [b"LPOP", l()],
            lambda: [b"RPOP", l()],
            lambda: [b"LPOP", l(), b"%d" % self.rng.randint(-1, 6)],
            lambda: [b"RPOP", l(), b"%d" % self.rng.randint(-1, 6)],
            lambda: [b"LLEN", l()],
            lambda: [b"LINDEX", l(), self.index()],
            lambda: [b"LRANGE", l(), self.index(), self.index()],
            lambda: [b"LRANGE", l(), b"0", b"-1"],
            lambda: [b"LSET", l(), self.index(), item()],
            lambda: [b"LINSERT", l(),
                     self.rng.choice((b"BEFORE", b"AFTER", b"after")),
                     item(), item()],
            lambda: [b"LREM", l(), b"%d" % self.rng.randint(-3, 3), item()],
            lambda: [b"LTRIM", l(), self.index(), self.index()],
            lambda: [b"LTRIM", l(), b"0", b"30"],
            lambda: [b"LPOS", l(), item()]
            + self.maybe([b"RANK", b"%d" % self.rng.randint(-2, 2)])
            + self.maybe([b"COUNT", b"%d" % self.rng.randint(0, 3)])
            + self.maybe([b"MAXLEN", b"%d" % self.rng.randint(0, 9)]),
            lambda: [b"LMOVE", l(), l(), self.end(), self.end()],
            lambda: [b"RPOPLPUSH", l(), l()],
            lambda: [b"LMPOP", b"2", l(), l(), self.end()]
            + self.maybe([b"COUNT", b"%d" % self.rng.randint(0, 4)]),
        ))()

    def hash(self):
        h, field, value = self.h, self.field, self.value
        return self.rng.choice((
            lambda: [b"HSET", h(), field(), value()],
            lambda: [b"HSET", h()] + [x for _ in range(self.rng.randint(1, 9))
                                      for x in (field(), value())],
            lambda: [b"HMSET", h(), field(), value(), field(), value()],
            lambda: [b"HSETNX", h(), field(), value()],
            lambda: [b"HGET", h(), field()],
            lambda: [b"HMGET", h()] + self.some(field),
            lambda: [b"HGETALL", h()],
            lambda: [b"HKEYS", h()],
            lambda: [b"HVALS", h()],
            lambda: [b"HLEN", h()],
            lambda: [b"HEXISTS", h(), field()],
            lambda: [b"HSTRLEN", h(), field()],
            lambda: [b"HDEL", h()] + self.some(field),
            lambda: [b"HDEL", h()] + self.some(field, 30),
            lambda: [b"HINCRBY", h(), field(), self.integer()],
            lambda: [b"HINCRBYFLOAT", h(), field(), self.real()],
        ))()

    def key(self):
        k = self.other_key
        now = int(time.time())
        ahead = FAR_S + self.rng.randrange(1000)
        nx = self.maybe([b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"NX", b"GT"])
        return self.rng.choice((
            lambda: [b"DEL"] + self.some(k, 2),
            lambda: [b"UNLINK"] + self.some(k, 2),
            lambda: [b"EXISTS"] + self.some(k),
            lambda: [b"TYPE", k()],
            lambda: [b"TOUCH"] + self.some(k),
            lambda: [b"RENAME", k(), k()],
            lambda: [b"RENAMENX", k(), k()],
            lambda: [b"COPY", k(), k()] + self.maybe([b"REPLACE"])
            + self.maybe([b"DB", self.db()]),
            lambda: [b"MOVE", k(), self.db()],
            lambda: [b"EXPIRE", k(), b"%d" % ahead] + nx,
            lambda: [b"PEXPIRE", k(), b"%d" % (ahead * 1000)] + nx,
            lambda: [b"EXPIREAT", k(), b"%d" % (now + ahead)] + nx,
            lambda: [b"PEXPIREAT", k(), b"%d" % ((now + ahead) * 1000)] + nx,
            lambda: [b"PEXPIREAT", k(), b"1000"],
            lambda: [b"EXPIRE", k(), self.rng.choice((b"-1", b"0"))],
            lambda: [b"RENAME", self.waited(), self.waited()],
            lambda: [b"COPY", self.waited(), self.waited(), b"REPLACE"],
            lambda: [b"MOVE", self.waited(), self.db()],
            lambda: [b"DEL", self.waited()],
            lambda: [b"TTL", k()],
            lambda: [b"PTTL", k()],
            lambda: [b"EXPIRETIME", k()],
            lambda: [b"PEXPIRETIME", k()],
            lambda: [b"PERSIST", k()],
            lambda: [b"OBJECT", b"ENCODING", k()],
            lambda: [b"KEYS", self.rng.choice(
                (b"*", b"str:*", b"*:[1-3]", b"l?t:\\*", b"hsh:[^0]"))],
        ))()

    def server(self):
        return self.rng.choice((
            lambda: [b"DBSIZE"],
            lambda: [b"DBSIZE"],
            lambda: [b"ECHO", self.value()],
            lambda: [b"PING"] + self.maybe([b"hello"]),
            lambda: [b"SELECT", self.db()],
            lambda: [b"SELECT", self.db()],
            lambda: [b"SWAPDB", self.db(), self.db()],
            lambda: [b"SELECT", self.rng.choice(
                (b"-1", b"99", b"abc", b"9223372036854775808"))],
            lambda: [b"FLUSHDB"] + self.maybe([b"ASYNC"], [b"SYNC"],
                                              [b"BOGUS"])
            if self.rng.random() < 0.15 else [b"DBSIZE"],
            lambda: [b"FLUSHALL"] if self.rng.random() < 0.05 else [b"PING"],
            lambda: [b"NOSUCHCOMMAND", self.value()[:40].replace(b"\0", b""),
                     b"a"],
        ))()

    def blocking(self, timeout):
        """A request that waits if its lists are empty."""
        l = self.waited  # noqa: E741
        one = self.rng.choice((b"lst:1", b"lst:2", b"blk:0"))
        return self.rng.choice((
            lambda: [b"BLPOP"] + self.some(l, 3) + [timeout],
            lambda: [b"BRPOP"] + self.some(l, 3) + [timeout],
            lambda: [b"BLPOP", one, timeout],
            lambda: [b"BRPOP", one, timeout],
            lambda: [b"BLMOVE", one, l(), self.end(), self.end(), timeout],
            lambda: [b"BRPOPLPUSH", l(), l(), timeout],
            lambda: [b"BLMPOP", timeout, b"2", l(), l(), self.end()]
            + self.maybe([b"COUNT", b"%d" % self.rng.randint(1, 4)]),
        ))()
