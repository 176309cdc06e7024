"""Makes bytes that are nearly right out of bytes that are right.

Owns the ways to spoil an input.  Pure: the same `random.Random` gives the same bytes, so that
Hypothesis chooses a seed and ``make fuzz`` another one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

MAX_BYTES = 200_000
_NUMBERS = (
    *(b"0", b"-1", b"1e400", b"255", b"256", b"65536", b"2147483648", b"4294967296"),
    *(b"9223372036854775808", b"18446744073709551616", b"9" * 400),
)
_TOKENS = (
    *(b"\0", b"\n", b"\r\n", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\\ud800", b"\\u0000"),
    *(b"../", b"/../../etc/passwd", b"//", b"null", b"true", b"[]", b"{}", b'""', b"[[", b"{{"),
    *(b"'", b'"', b"`", b"$(", b"${", b"))", b"<<", b"\x1b[2J", "‮".encode(), b"\x80\x80"),
)

_Op = Callable[[bytearray, random.Random, Sequence[bytes], Sequence[bytes]], None]


def mutated(random: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """Returns one of the seeds, spoilt in one to eight places.

    Args:
        random: decides everything.
        seeds: inputs that are right, or once were a bug; at least one.
        tokens: words of the format, which are put in as they are.
    """
    data = bytearray(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 3, 5, 8))):
        random.choice(_OPS)(data, random, seeds, tokens)
    return bytes(data[:MAX_BYTES])


def _range(data: bytearray, random: random.Random, longest: int = 64) -> slice:
    """Returns a part of the data, mostly a short one."""
    start = random.randrange(len(data) + 1)
    size = random.choice((1, 1, 2, 4, 8, random.randint(0, longest)))
    return slice(start, min(len(data), start + size))


def _flip(data: bytearray, random: random.Random, *_: object) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set(data: bytearray, random: random.Random, *_: object) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(
            (0, 0x7F, 0x80, 0xFF, random.getrandbits(8))
        )


def _delete(data: bytearray, random: random.Random, *_: object) -> None:
    del data[_range(data, random, 400)]


def _cut(data: bytearray, random: random.Random, *_: object) -> None:
    del data[random.randrange(len(data) + 1) :]


def _insert(data: bytearray, random: random.Random, *_: object) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.randbytes(random.randint(1, 12))


def _token(
    data: bytearray, random: random.Random, _: Sequence[bytes], tokens: Sequence[bytes]
) -> None:
    word = random.choice((*_TOKENS, *tokens, *tokens))
    at = _range(data, random)
    data[at if random.getrandbits(1) else slice(at.start, at.start)] = word


def _number(data: bytearray, random: random.Random, *_: object) -> None:
    """Puts another number in the place of one."""
    digits = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    if not digits:
        return
    start = end = random.choice(digits)
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    data[start:end] = random.choice(_NUMBERS)


def _binary_number(data: bytearray, random: random.Random, *_: object) -> None:
    """Puts an extreme length or count in the place of four bytes."""
    if len(data) >= 4:
        at = random.randrange(len(data) - 3)
        data[at : at + 4] = random.choice(
            (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\xff\xff")
        )


def _repeat(data: bytearray, random: random.Random, *_: object) -> None:
    """Doubles a part, or repeats it until it is deep or long."""
    part = data[_range(data, random)]
    times = random.choice((1, 2, 8, 300, 3000))
    at = random.randrange(len(data) + 1)
    data[at:at] = part * min(times, MAX_BYTES // max(len(part), 1))


def _splice(
    data: bytearray, random: random.Random, seeds: Sequence[bytes], _: Sequence[bytes]
) -> None:
    """Puts in a part of another seed, or goes on as that one does."""
    other = bytearray(random.choice(seeds))
    if random.getrandbits(1):
        data[_range(data, random)] = other[_range(other, random, 400)]
    else:
        del data[random.randrange(len(data) + 1) :]
        data += other[random.randrange(len(other) + 1) :]


_OPS: tuple[_Op, ...] = (
    *(_flip, _flip, _set, _set, _delete, _cut, _insert, _token, _token, _token, _number),
    *(_binary_number, _repeat, _splice, _splice),
)
