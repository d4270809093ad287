"""Checks of a ``Cipher``: the algorithm in Python, for IKE messages and for ESP where nobody has it in C."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

from fynx.plugin.crypto import Cipher, CipherKey
from fynx.plugin.selftest import CIPHER_ANSWERS, check_cipher, flip, stream
from fynx.testing.kit.subject import Check, Refused, Subject, make_key, must_refuse, raw_key
from fynx.testing.kit.vectors import ALGORITHMS, vectors

LENGTHS = (0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 255, 256, 1400, 9000)
THREADS, ROUNDS, KEYS, GROWTH = 4, 150, 1500, 256 * 1024


def cipher_checks(subject: Subject) -> Iterator[Check]:
    for cipher in subject.ciphers:
        word = cipher.keyword
        yield Check(f"{word}: lengths", partial(_lengths, cipher))
        yield Check(f"{word}: known answers", partial(_answers, subject, cipher))
        yield Check(f"{word}: wrong lengths", partial(_wrong_lengths, cipher))
        if cipher.aead:
            yield Check(f"{word}: forgeries", partial(_forgeries, cipher))
            yield Check(f"{word}: every input counts", partial(_every_input, cipher))
        yield Check(f"{word}: threads", partial(_threads, cipher))
        yield Check(f"{word}: leaks", partial(_leaks, cipher))
        yield Check(f"{word}: secrets", partial(_secrets, cipher))


def _answers(subject: Subject, cipher: Cipher) -> None:
    known = CIPHER_ANSWERS.get(cipher.keyword) if cipher.keyword not in subject.vectors else None
    if known is not None:
        check_cipher(cipher, known)
    algorithm = subject.vectors.get(cipher.keyword) or ALGORITHMS.get(cipher.transform_id)
    count = _wycheproof(cipher, algorithm) if algorithm else 0
    if not count and known is None and not subject.answered:
        raise Refused("nothing proves the algorithm: give fynx_selftest(), or FYNX_VECTORS if Wycheproof has it")


def _wycheproof(cipher: Cipher, algorithm: str) -> int:
    count = 0
    for one in vectors(algorithm, cipher):
        count += 1
        name = f"Wycheproof {algorithm} {one.number}"
        salt, iv = one.nonce[: cipher.salt_len], one.nonce[cipher.salt_len :]
        made = cipher.key(one.key + salt)
        if not one.valid:
            must_refuse(name, lambda made=made, iv=iv, one=one: made.open(iv, one.sealed, one.aad))  # type: ignore[misc]
            continue
        if made.seal(iv, one.plain, one.aad) != one.sealed or made.open(iv, one.sealed, one.aad) != one.plain:
            raise Refused(f"{name}: the known answer differs")
    return count


def _lengths(cipher: Cipher) -> None:
    made = make_key(cipher)
    for length in LENGTHS:
        iv, plain, aad = _packet(cipher, length)
        sealed = made.seal(iv, plain, aad)
        if type(sealed) is not bytes or len(sealed) != len(plain) + cipher.icv_len:
            raise Refused(f"{len(plain)} octets become {len(sealed)}: icv_len = {cipher.icv_len} says otherwise")
        if made.open(iv, sealed, aad) != plain:
            raise Refused(f"{len(plain)} octets do not come back")
        if made.seal(iv, plain, aad) != sealed:
            raise Refused("the same input gives another output: something is remembered between packets")


def _wrong_lengths(cipher: Cipher) -> None:
    raw, made = raw_key(cipher), make_key(cipher)
    for wrong in (raw[:-1], raw + b"\0", b""):
        must_refuse(f"a key of {len(wrong)} octets", partial(cipher.key, wrong))
    iv, plain, aad = _packet(cipher, 32)
    sealed = made.seal(iv, plain, aad)
    for wrong in (iv[:-1], iv + b"\0", b"") if cipher.iv_len else (b"\0",):
        must_refuse(f"sealing with an IV of {len(wrong)} octets", partial(made.seal, wrong, plain, aad))
        must_refuse(f"opening with an IV of {len(wrong)} octets", partial(made.open, wrong, sealed, aad))
    short = range(cipher.icv_len) if cipher.aead else ()
    for length in short:
        must_refuse(f"opening {length} octets", partial(made.open, iv, sealed[:length], aad))
    if cipher.block_len > 1:
        must_refuse("an unpadded text", partial(made.seal, iv, plain[:-1], aad))
        must_refuse("opening half a block", partial(made.open, iv, sealed[:-1], aad))


def _forgeries(cipher: Cipher) -> None:
    made = make_key(cipher)
    iv, plain, aad = _packet(cipher, 64)
    sealed = made.seal(iv, plain, aad)
    for place in range(len(sealed)):
        must_refuse(f"a forged octet at {place}", partial(made.open, iv, flip(sealed, place), aad))
    must_refuse("a tag cut by one octet", partial(made.open, iv, sealed[:-1], aad))
    must_refuse("a tag with one octet more", partial(made.open, iv, sealed + b"\0", aad))
    must_refuse("a tag of zeros", partial(made.open, iv, sealed[: -cipher.icv_len] + bytes(cipher.icv_len), aad))
    must_refuse("forged additional data", partial(made.open, iv, sealed, flip(aad, 0)))
    must_refuse("missing additional data", partial(made.open, iv, sealed, b""))
    must_refuse("another IV", partial(made.open, flip(iv, 0), sealed, aad))
    if made.open(iv, sealed, aad) != plain:
        raise Refused("after forgeries a good packet does not open any more")


def _every_input(cipher: Cipher) -> None:
    """Each bit of key, salt and IV changes the text (a salt that is left out repeats nonces between SAs)."""
    raw = raw_key(cipher)
    iv, plain, aad = _packet(cipher, 64)
    text = cipher.key(raw).seal(iv, plain, aad)
    for place in range(len(raw)):
        if cipher.key(flip(raw, place)).seal(iv, plain, aad)[:64] == text[:64]:
            what = "the salt" if place >= len(raw) - cipher.salt_len else "the key"
            raise Refused(f"octet {place} of {what} has no effect")
    for place in range(len(iv)):
        if cipher.key(raw).seal(flip(iv, place), plain, aad)[:64] == text[:64]:
            raise Refused(f"octet {place} of the IV has no effect: it would repeat key stream")


def _threads(cipher: Cipher) -> None:
    """One key, many threads, each with its own packets."""
    made = make_key(cipher)
    wrong: list[str] = []

    def work(number: int) -> None:
        try:
            _work(cipher, made, number)
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")

    together(work)
    if wrong:
        raise Refused(f"two threads with one key: {wrong[0]}")


def _work(cipher: Cipher, made: CipherKey, number: int) -> None:
    iv, plain, aad = _packet(cipher, 512, label=bytes([number]))
    wanted = make_key(cipher).seal(iv, plain, aad)
    for _ in range(ROUNDS):
        if made.seal(iv, plain, aad) != wanted or made.open(iv, wanted, aad) != plain:
            raise Refused("another answer than alone")


def together(work: Callable[[int], None]) -> None:
    """``work`` on several threads at once, for a while."""
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def _leaks(cipher: Cipher) -> None:
    def use(count: int) -> None:
        for _ in range(count):
            made = make_key(cipher)
            iv, plain, aad = _packet(cipher, 64)
            made.open(iv, made.seal(iv, plain, aad), aad)

    use(100)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        use(KEYS)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    if grown > GROWTH:
        raise Refused(f"{KEYS} keys that nobody holds any more still take {grown // 1024} KiB")


def _secrets(cipher: Cipher) -> None:
    """Neither key nor plaintext in a repr or in the text of a refusal."""
    raw, made = raw_key(cipher), make_key(cipher)
    iv, plain, aad = _packet(cipher, 64)
    said = [repr(made), str(made)]
    for call in (partial(made.open, iv, b"", aad), partial(cipher.key, raw[:-1]), partial(made.seal, b"", plain, aad)):
        try:
            call()
        except Exception as error:
            said.append(f"{error!r} {error.args!r}")
    for text in said:
        if any(form in text for secret in (raw[:-1], plain) for form in (secret.hex(), repr(secret)[2:-1])):
            raise Refused("a repr or an error shows key or plaintext")


def _packet(cipher: Cipher, length: int, label: bytes = b"") -> tuple[bytes, bytes, bytes]:
    rounded = length - length % max(1, cipher.block_len)
    aad = stream(12, b"aad" + label) if cipher.aead else b""
    return stream(cipher.iv_len, b"iv" + label), stream(rounded, b"plain" + label), aad


__all__ = ["cipher_checks", "together"]
