"""SORT and SORT_RO on lists, compared with redis-server."""

import random

import pytest

from samebytes import plain_twin, twin, twin_servers  # noqa: F401

SCRIPT = r"""
    sort missing
    sort missing store dst
    rpush l 3 1 10 2 -5 1.5 1e2
    sort l
    sort l desc
    sort l asc
    sort l alpha
    sort l alpha desc
    sort l limit 0 2
    sort l limit 2 -1
    sort l limit -5 3
    sort l limit 100 3
    sort l limit 0 0
    sort l limit 5 100
    sort l limit 9223372036854775807 9223372036854775807
    sort l limit a 1
    sort l limit 1
    sort l bogus
    sort l by
    sort l get
    sort l store
    sort_ro l
    sort_ro l store dst
    sort_ro l limit 1 2 desc
    rpush words banana apple cherry apple ""
    sort words
    sort words alpha
    sort words alpha desc limit 1 2
    mset w_3 30 w_1 10 w_10 1 w_2 20 w_-5 5
    mset v_3 three v_1 one v_10 ten
    hset h_3 name drei weight 1
    hset h_1 name eins weight 2
    sort l by w_*
    sort l by w_* desc
    sort l by w_* get #
    sort l by w_* get # get v_* get h_*->name
    sort l by h_*->weight get h_*->name
    sort l by w_* alpha
    sort l by v_* alpha
    sort l by v_* alpha desc
    sort l by v_*
    sort l by nosort
    sort l by nosort desc
    sort l by nosort get v_* limit 0 3
    sort l get x*->
    sort l get nostar
    sort l get h_*->missing
    sort l get l*
    sort l store dst
    lrange dst 0 -1
    sort l by w_* get v_* store dst
    lrange dst 0 -1
    sort l limit 100 1 store dst
    exists dst
    sort l desc store l
    lrange l 0 -1
    set s v
    sort s
    sort s store dst
    sort l store s
    type s
    rpush blanks " 1" "2" "1 "
    sort blanks
    sort
    sort_ro
"""


def test_script(twin):  # noqa: F811
    twin.run(SCRIPT)


@pytest.mark.parametrize("seed", range(3))
def test_random_lists(plain_twin, seed):  # noqa: F811
    rng = random.Random(seed)
    for turn in range(20):
        plain_twin.same("DEL", "l")
        plain_twin.same("RPUSH", "l", *(
            rng.choice([rng.randrange(100), round(rng.random(), 3)])
            for _ in range(rng.randrange(1, 200))))
        plain_twin.same("SORT", "l")
        plain_twin.same("SORT", "l", "DESC", "LIMIT", 3, 50)
        plain_twin.same("SORT", "l", "ALPHA", "STORE", "dst")
        plain_twin.same("LRANGE", "dst", 0, -1)


def test_long_values_are_found(twin):  # noqa: F811
    twin.same("RPUSH", "l", 2, 1)
    twin.same("SET", "v_1", "x" * 50_000)
    twin.same("SET", "v_2", "")
    twin.same("SORT", "l", "GET", "v_*")
    twin.same("SORT", "l", "GET", "v_*", "STORE", "dst")
    twin.same("LRANGE", "dst", 0, -1)
