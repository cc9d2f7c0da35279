"""What a private pair of databases must hold after a list of units.

A unit is what a client sends and the server must do wholly or not at all: one
command, or MULTI ... EXEC.  Model.random_unit() invents one, Model.apply()
carries it out.  The model is deterministic: no reply is needed to know what a
unit does, so the driver can ask "is the state after some prefix of the
unacknowledged units the one found after the crash?".

Values are bytes (string), list (list), dict (hash).  Expiry times are absolute
milliseconds.  Keys that expire soon have names of their own ("soon:...") and
are only ever set and deleted, since what another command would do to them
depends on the moment.
"""

import copy

NEVER = -1
# One of this many strings is big; a database holds few big ones.
BIG_ODDS = 25
# Expiry times chosen: this far ahead, or long past.
FAR_MS = 10_000_000
PAST_MS = 1000


class Model:
    """dbs: two dicts name -> [value, expire_at_ms]; a and b their numbers."""

    def __init__(self, first_db):
        self.first_db = first_db
        self.dbs = [{}, {}]

    def copy(self):
        other = Model(self.first_db)
        other.dbs = copy.deepcopy(self.dbs)
        return other

    def live(self, which, now_ms):
        """What may be seen at now_ms."""
        return {name: (value, at) for name, (value, at)
                in self.dbs[which].items() if at == NEVER or at > now_ms}

    # ---- inventing ---------------------------------------------------------

    def random_unit(self, rng, now_ms):
        """A list of (db index, command); more than one: a transaction."""
        if rng.random() < 0.25:
            count = rng.randint(2, 8)
            which = rng.randrange(2)
            unit = [(which, self.random_command(rng, which, now_ms))
                    for _ in range(count)]
            return unit
        which = rng.randrange(2)
        return [(which, self.random_command(rng, which, now_ms))]

    def random_value(self, rng):
        if rng.randrange(BIG_ODDS) == 0:
            size = rng.choice((3000, 5000, 17000, 40000, 120000))
        else:
            size = rng.randrange(0, 200)
        # Not constant: equal rows are skipped by SQLite.
        seed = b"%d." % rng.getrandbits(60)
        return (seed * (size // len(seed) + 1))[:size]

    def random_command(self, rng, which, now_ms):
        def name(kind, count):
            return b"%s:%d" % (kind, rng.randrange(count))

        kind = rng.choices(
            ("string", "counter", "list", "hash", "key", "soon", "db"),
            (30, 10, 25, 20, 12, 4, 0.4))[0]
        if kind == "string":
            key = name(b"str", 12)
            return rng.choice((
                lambda: (b"SET", key, self.random_value(rng)),
                lambda: (b"SET", key, self.random_value(rng)),
                lambda: (b"APPEND", key, b"%d" % rng.getrandbits(30)),
                lambda: (b"SETRANGE", key, b"%d" % rng.randrange(60000),
                         b"%d" % rng.getrandbits(40)),
                lambda: (b"GETDEL", key),
                lambda: (b"MSET", name(b"str", 12), b"%d" % rng.getrandbits(9),
                         name(b"str", 12), self.random_value(rng)),
                lambda: (b"SET", key, b"far", b"PXAT",
                         b"%d" % (now_ms + FAR_MS + rng.randrange(1000))),
            ))()
        if kind == "counter":
            return (b"INCRBY", name(b"num", 5), b"%d" % rng.randint(-9, 9))
        if kind == "list":
            key = name(b"lst", 6)
            item = b"%d" % rng.getrandbits(20)
            if rng.random() < 0.02:
                item = self.random_value(rng)
            return rng.choice((
                lambda: (b"RPUSH", key, item, b"a", b"b"),
                lambda: (b"LPUSH", key, item, b"c"),
                lambda: (b"RPUSH", key, item),
                lambda: (b"LPOP", key),
                lambda: (b"RPOP", key),
                lambda: (b"LTRIM", key, b"1", b"-2"),
                lambda: (b"LTRIM", key, b"0", b"60"),
                lambda: (b"LREM", key, b"1", b"a"),
                lambda: (b"LINSERT", key, b"BEFORE", b"b", item),
                lambda: (b"LSET", key, b"0", item),
                lambda: (b"LMOVE", key, name(b"lst", 6), b"LEFT", b"RIGHT"),
            ))()
        if kind == "hash":
            key = name(b"hsh", 5)
            field = b"f%d" % rng.randrange(40)
            return rng.choice((
                lambda: (b"HSET", key, field, b"%d" % rng.getrandbits(30)),
                lambda: (b"HSET", key, field, self.random_value(rng), b"g",
                         b"%d" % rng.getrandbits(10)),
                lambda: (b"HDEL", key, field, b"g"),
                lambda: (b"HINCRBY", key, b"n", b"%d" % rng.randint(1, 9)),
            ))()
        if kind == "key":
            names = [n for n in self.dbs[which]
                     if not n.startswith((b"soon", b"num"))]
            key = rng.choice(names) if names else b"str:0"
            family, _, _ = key.partition(b":")
            other = b"%s:%d" % (family, rng.randrange(5))
            return rng.choice((
                lambda: (b"DEL", key, other),
                lambda: (b"UNLINK", key),
                lambda: (b"RENAME", key, other),
                lambda: (b"COPY", key, other, b"REPLACE"),
                lambda: (b"MOVE", key,
                         b"%d" % (self.first_db + 1 - which)),
                lambda: (b"PEXPIREAT", key,
                         b"%d" % (now_ms + FAR_MS + rng.randrange(1000))),
                lambda: (b"PEXPIREAT", key, b"%d" % PAST_MS),
                lambda: (b"PERSIST", key),
            ))()
        if kind == "soon":
            key = name(b"soon", 4)
            if rng.random() < 0.2:
                return (b"DEL", key)
            return (b"SET", key, b"x", b"PXAT",
                    b"%d" % (now_ms + rng.randrange(20, 400)))
        if rng.random() < 0.4:
            return (b"FLUSHDB",)
        return (b"SWAPDB", b"%d" % self.first_db, b"%d" % (self.first_db + 1))

    # ---- carrying out ------------------------------------------------------

    def apply(self, unit):
        for which, command in unit:
            handler = getattr(self, "do_" + command[0].decode().lower())
            handler(which, *command[1:])

    def _get(self, which, key, default=None):
        entry = self.dbs[which].get(key)
        return default if entry is None else entry[0]

    def _put(self, which, key, value):
        """Change a value and keep the expiry; empty collections go."""
        db = self.dbs[which]
        if isinstance(value, (list, dict)) and not value:
            db.pop(key, None)
        elif key in db:
            db[key][0] = value
        else:
            db[key] = [value, NEVER]

    def do_set(self, which, key, value, *expiry):
        at = int(expiry[1]) if expiry else NEVER
        self.dbs[which][key] = [value, at]

    def do_mset(self, which, *pairs):
        for key, value in zip(pairs[::2], pairs[1::2]):
            self.dbs[which][key] = [value, NEVER]

    def do_append(self, which, key, value):
        self._put(which, key, self._get(which, key, b"") + value)

    def do_setrange(self, which, key, offset, value):
        old = self._get(which, key, b"")
        at = int(offset)
        old = old.ljust(at, b"\0")
        self._put(which, key, old[:at] + value + old[at + len(value):])

    def do_getdel(self, which, key):
        self.dbs[which].pop(key, None)

    def do_incrby(self, which, key, by):
        self._put(which, key,
                  b"%d" % (int(self._get(which, key, b"0")) + int(by)))

    def do_rpush(self, which, key, *items):
        self._put(which, key, self._get(which, key, []) + list(items))

    def do_lpush(self, which, key, *items):
        self._put(which, key,
                  list(reversed(items)) + self._get(which, key, []))

    def do_lpop(self, which, key):
        self._put(which, key, self._get(which, key, [])[1:])

    def do_rpop(self, which, key):
        self._put(which, key, self._get(which, key, [])[:-1])

    def do_ltrim(self, which, key, start, stop):
        items = self._get(which, key, [])
        size = len(items)
        first, last = int(start), int(stop)
        last = last + size if last < 0 else last
        self._put(which, key, items[first:max(last + 1, 0)])

    def do_lrem(self, which, key, _count, item):
        items = list(self._get(which, key, []))
        if item in items:
            items.remove(item)
        self._put(which, key, items)

    def do_linsert(self, which, key, _where, pivot, item):
        items = list(self._get(which, key, []))
        if pivot in items:
            items.insert(items.index(pivot), item)
        self._put(which, key, items)

    def do_lset(self, which, key, _index, item):
        items = list(self._get(which, key, []))
        if items:
            items[0] = item
        self._put(which, key, items)

    def do_lmove(self, which, key, other, _left, _right):
        items = self._get(which, key, [])
        if not items:
            return
        if key == other:
            # Turned round in place: the key, and its expiry, stay.
            self._put(which, key, items[1:] + items[:1])
            return
        self._put(which, key, items[1:])
        self._put(which, other, self._get(which, other, []) + items[:1])

    def do_hset(self, which, key, *pairs):
        fields = dict(self._get(which, key, {}))
        fields.update(zip(pairs[::2], pairs[1::2]))
        self._put(which, key, fields)

    def do_hdel(self, which, key, *names):
        fields = dict(self._get(which, key, {}))
        for name in names:
            fields.pop(name, None)
        self._put(which, key, fields)

    def do_hincrby(self, which, key, field, by):
        fields = dict(self._get(which, key, {}))
        fields[field] = b"%d" % (int(fields.get(field, b"0")) + int(by))
        self._put(which, key, fields)

    def do_del(self, which, *keys):
        for key in keys:
            self.dbs[which].pop(key, None)

    do_unlink = do_del

    def do_rename(self, which, key, other):
        if key in self.dbs[which]:
            entry = self.dbs[which].pop(key)
            self.dbs[which][other] = entry

    def do_copy(self, which, key, other, *_replace):
        if key in self.dbs[which] and key != other:
            self.dbs[which][other] = copy.deepcopy(self.dbs[which][key])

    def do_move(self, which, key, _db):
        source, target = self.dbs[which], self.dbs[1 - which]
        if key in source and key not in target:
            target[key] = source.pop(key)

    def do_pexpireat(self, which, key, at):
        entry = self.dbs[which].get(key)
        if entry is None:
            return
        if int(at) <= PAST_MS:
            del self.dbs[which][key]
        else:
            entry[1] = int(at)

    def do_persist(self, which, key):
        entry = self.dbs[which].get(key)
        if entry is not None:
            entry[1] = NEVER

    def do_flushdb(self, which):
        self.dbs[which] = {}

    def do_swapdb(self, _which, _one, _other):
        self.dbs.reverse()
