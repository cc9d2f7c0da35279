"""Are two replies to one request the same?

Replies are compared exactly, but where the protocol itself promises no order
(hash fields, KEYS), where time passes between the two servers (TTL and
family), and where Redis 7.2, whose behaviour is the aim, differs from the 7.0
that runs beside: it says "listpack" for small lists where 7.0 says
"quicklist", and prints doubles in their shortest form.
"""

import resp

TIME_TOLERANCE = {
    b"ttl": 2, b"expiretime": 2, b"pttl": 3000, b"pexpiretime": 3000}
UNORDERED = {b"keys", b"hkeys", b"hvals"}


def same_type(a, b):
    """bytes is not Simple is not Error; lists likewise."""
    return type(a) is type(b)


def same(args, walden, redis):
    """Is walden's reply to args as good as redis's?"""
    if exact(walden, redis):
        return True
    if not same_type(walden, redis):
        return False
    name = args[0].lower()
    if name in TIME_TOLERANCE and isinstance(walden, int):
        return (walden >= 0 and redis >= 0
                and abs(walden - redis) <= TIME_TOLERANCE[name])
    if name in UNORDERED and isinstance(walden, list):
        return sorted(walden) == sorted(redis)
    if name == b"hgetall" and isinstance(walden, list):
        return pairs(walden) == pairs(redis)
    if name == b"object" and (walden, redis) == (b"listpack", b"quicklist"):
        return True
    if isinstance(walden, float):
        return walden == redis
    return False


def exact(a, b):
    """Equal, with equal types all the way down."""
    if type(a) is not type(b) or a != b:
        return False
    if isinstance(a, list):
        return all(exact(x, y) for x, y in zip(a, b))
    return True


def pairs(flat):
    return sorted(zip(flat[::2], flat[1::2]))


def same_exec(queued, walden, redis):
    """EXEC's reply, with the requests that were queued."""
    if exact(walden, redis):
        return True
    if not (same_type(walden, redis) and isinstance(walden, list)
            and len(walden) == len(redis) == len(queued)):
        return False
    return all(same(args, a, b)
               for args, a, b in zip(queued, walden, redis))


def is_queued(reply):
    return isinstance(reply, resp.Simple) and reply == b"QUEUED"
