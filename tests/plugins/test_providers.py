"""The contract of providers, over every ops that each of them has on this machine: fynx.h, row E28."""

from __future__ import annotations

import hmac
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as LibraryCipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from fynx.plugin import CryptoError
from fynx.plugin.selftest import HASHES, OpsCalls, OpsPacket, check_ops, flip, stream
from tests.plugins import installed
from tests.plugins.ops_driver import CALLS, Ops, ffi

Suite = tuple[int, int, int]
OPS = installed.all_ops()
PROVIDERS = installed.providers()


@dataclass(frozen=True, slots=True)
class Case:
    """An ops of a provider, with a key."""

    name: str
    suite: Suite
    ops: Ops

    @property
    def key(self) -> bytes:
        return stream(int(self.ops.raw.key_len), b"a key")

    @property
    def salt(self) -> bytes:
        return stream(int(self.ops.raw.salt_len), b"a salt")

    @property
    def block(self) -> int:
        return 16 if self.suite[0] == 12 else 1

    def packet(self, length: int, seed: int = 0, *, esn: bool = False) -> OpsPacket:
        label = b"%d" % seed
        return OpsPacket(
            stream(int(self.ops.raw.iv_len), b"iv" + label),
            stream(12 if esn else 8, b"aad" + label),
            stream(length - length % self.block, b"plain" + label),
        )

    def run(self, packets: list[OpsPacket], *, opening: bool, in_place: bool = True) -> list[bytes | None]:
        key = self.ops.key(self.key, self.salt)
        return self.ops.run(self.ops.thread(key), packets, opening=opening, in_place=in_place)

    def sealed(self, packets: list[OpsPacket]) -> list[OpsPacket]:
        texts = self.run(packets, opening=False)
        return [OpsPacket(p.iv, p.aad, text) for p, text in zip(packets, texts, strict=True) if text is not None]


CASES = {name: Case(name, suite, Ops(address)) for name, (_, suite, address) in OPS.items()}
every_ops = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def other_opinion(suite: Suite, key: bytes, salt: bytes, packet: OpsPacket) -> bytes:
    """What ``cryptography`` and ``hmac`` make of it."""
    encr_id, key_bits, integ_id = suite
    encr, integ = key[: key_bits // 8], key[key_bits // 8 :]
    if encr_id == 20:
        return AESGCM(encr).encrypt(salt + packet.iv, packet.text, packet.aad)
    if encr_id == 28:
        return ChaCha20Poly1305(encr).encrypt(salt + packet.iv, packet.text, packet.aad)
    text = packet.text
    if encr_id == 12:
        context = LibraryCipher(AES(encr), CBC(packet.iv)).encryptor()
        text = context.update(text) + context.finalize()
    spi, high, low = packet.aad[:4], packet.aad[4:-4], packet.aad[-4:]
    name, size = HASHES[integ_id]
    return text + hmac.digest(integ, spi + low + packet.iv + text + high, name)[: size // 2]


def test_libcrypto_has_every_suite_and_sodium_what_it_can() -> None:
    """ipsec-mb may be missing; these two are always there on a machine where the tests run."""
    assert {suite for provider, suite, _ in OPS.values() if provider.name == "libcrypto"} == set(installed.SUITES)
    sodium = {suite for provider, suite, _ in OPS.values() if provider.name == "sodium"}
    assert {(28, 256, 0)} <= sodium <= {(28, 256, 0), (20, 256, 0)}


def test_ipsecmb_offers_aes_gcm_wherever_its_library_is() -> None:
    offered = {suite for provider, suite, _ in OPS.values() if provider.name == "ipsecmb"}
    present = not PROVIDERS["ipsecmb"].version.startswith("not available")
    assert offered >= {(20, 128, 0), (20, 192, 0), (20, 256, 0)} if present else not offered


@every_ops
def test_the_self_test_of_the_plane_passes(case: Case) -> None:
    check_ops(int(ffi.cast("uintptr_t", case.ops.raw)), *case.suite, CALLS)


@every_ops
def test_the_description_fits_the_algorithm(case: Case) -> None:
    raw, (encr_id, key_bits, integ_id) = case.ops.raw, case.suite
    integ_len = HASHES[integ_id][1] if integ_id else 0
    assert (raw.abi, raw.size) == (1, ffi.sizeof("struct fynx_aead_ops"))
    assert (raw.encr_id, raw.integ_id, raw.key_len) == (encr_id, integ_id, key_bits // 8 + integ_len)
    assert (raw.salt_len, raw.iv_len) == ((0, {12: 16, 11: 0}[encr_id]) if integ_id else (4, 8))
    assert raw.icv_len == (integ_len // 2 if integ_id else 16)
    assert raw.block == (16 if encr_id == 12 else 4)
    assert ffi.string(raw.provider) == case.name.partition("-")[0].encode()
    assert ffi.string(raw.name)


@every_ops
def test_every_length_agrees_with_another_implementation(case: Case) -> None:
    """Lengths up to some strides, then random ones, with and without ESN; in place and not."""
    draw = random.Random(case.name)
    lengths = [*range(0, 300 * case.block, case.block), *(draw.randrange(9000) for _ in range(40))]
    packets = [case.packet(length, seed, esn=bool(seed & 1)) for seed, length in enumerate(lengths)]
    wanted = [other_opinion(case.suite, case.key, case.salt, packet) for packet in packets]
    closed = [OpsPacket(p.iv, p.aad, text) for p, text in zip(packets, wanted, strict=True)]
    for in_place in (True, False):
        assert case.run(packets, opening=False, in_place=in_place) == wanted
        assert case.run(closed, opening=True, in_place=in_place) == [packet.text for packet in packets]


@every_ops
def test_a_forged_bit_anywhere_is_refused(case: Case) -> None:
    (good,) = case.sealed([case.packet(48, esn=True)])
    forged = [
        OpsPacket(good.iv, good.aad, flip(good.text, place, bit)) for place in range(len(good.text)) for bit in range(8)
    ]
    forged += [
        OpsPacket(good.iv, flip(good.aad, place, bit), good.text) for place in range(len(good.aad)) for bit in range(8)
    ]
    forged += [
        OpsPacket(flip(good.iv, place, bit), good.aad, good.text) for place in range(len(good.iv)) for bit in range(8)
    ]
    assert not any(case.run(forged, opening=True))
    assert case.run([good], opening=True) == [case.packet(48, esn=True).text]


@every_ops
@pytest.mark.parametrize("in_place", [True, False])
def test_a_refused_packet_leaves_zeros(case: Case, *, in_place: bool) -> None:
    (good,) = case.sealed([case.packet(1024)])
    bad = OpsPacket(good.iv, good.aad, flip(good.text, len(good.text) - 1))
    key = case.ops.key(case.key, case.salt)
    (left,) = case.ops.run(case.ops.thread(key), [bad], opening=True, in_place=in_place, keep_wiped=True)
    assert left == bytes(1024)


@every_ops
def test_e28_one_bad_packet_in_any_position_spoils_itself_alone(case: Case) -> None:
    packets = [case.packet(64 + 16 * seed, seed, esn=bool(seed % 3)) for seed in range(32)]
    closed = case.sealed(packets)
    for bad in range(len(closed)):
        batch = list(closed)
        batch[bad] = OpsPacket(batch[bad].iv, batch[bad].aad, flip(batch[bad].text, 0))
        wanted = [None if place == bad else packet.text for place, packet in enumerate(packets)]
        assert case.run(batch, opening=True) == wanted


@every_ops
def test_one_thread_object_seals_and_opens_in_turn(case: Case) -> None:
    key = case.ops.key(case.key, case.salt)
    thread = case.ops.thread(key)
    for seed in range(6):
        packet = case.packet(160, seed)
        (text,) = case.ops.run(thread, [packet], opening=False, in_place=True)
        assert text == other_opinion(case.suite, case.key, case.salt, packet)
        bad = OpsPacket(packet.iv, packet.aad, flip(text, 3))
        good = OpsPacket(packet.iv, packet.aad, text)
        assert case.ops.run(thread, [bad, good], opening=True, in_place=True) == [None, packet.text]


@every_ops
def test_threads_share_a_key(case: Case) -> None:
    key = case.ops.key(case.key, case.salt)
    packets = [case.packet(16 * seed, seed) for seed in range(64)]
    wanted = [other_opinion(case.suite, case.key, case.salt, packet) for packet in packets]

    def work(_: int) -> bool:
        thread = case.ops.thread(key)
        return all(case.ops.run(thread, packets, opening=False, in_place=True) == wanted for _ in range(3))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@every_ops
@pytest.mark.parametrize("off", [-1, 1, None])
def test_a_key_of_the_wrong_length_is_refused(case: Case, off: int | None) -> None:
    length = 0 if off is None else len(case.key) + off
    with pytest.raises(CryptoError):
        case.ops.key(bytes(length), case.salt)


@pytest.mark.parametrize("case", [c for c in CASES.values() if c.suite[0] == 12], ids=str)
@pytest.mark.parametrize("length", [1, 15, 17])
def test_cbc_refuses_what_is_not_whole_blocks(case: Case, length: int) -> None:
    iv, aad = case.packet(0).iv, case.packet(0).aad
    assert case.run([OpsPacket(iv, aad, bytes(length))], opening=False) == [None]
    assert case.run([OpsPacket(iv, aad, bytes(length + case.ops.raw.icv_len))], opening=True) == [None]


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_what_a_provider_lacks_has_no_address(provider: object) -> None:
    ops = PROVIDERS[provider.name].ops  # type: ignore[attr-defined]
    for suite in (
        (20, 0, 0),
        (20, 127, 0),
        (20, 128, 12),
        (12, 128, 0),
        (12, 128, 2),
        (19, 128, 0),
        (0, 0, 0),
        (-1, -1, -1),
    ):
        assert ops(*suite) == 0
    assert ops(28, 0, 0) == ops(28, 256, 0)


@pytest.mark.parametrize("name", PROVIDERS)
def test_without_its_library_a_provider_loads_offers_nothing_and_says_why(name: str) -> None:
    """In a process of its own, since a library is opened once."""
    script = (
        f"from fynx_plugins.{name} import _ops\n"
        "assert _ops.lib.fynx_provider_open(b'/nonexistent/library.so') == -1\n"
        "print(_ops.ffi.string(_ops.lib.fynx_provider_version()).decode())\n"
        f"suites = {installed.SUITES!r}\n"
        "assert not any(_ops.lib.fynx_provider_ops(*suite) for suite in suites)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("not available: /nonexistent/library.so")


@pytest.mark.parametrize("fault", ["text", "tag", "accepts", "batch"])
def test_the_self_test_notices_an_ops_that_errs(fault: str) -> None:
    """The calls are bent, not the ops: what the plane would see of a broken library."""
    assert CALLS.batch is not None
    batch = CALLS.batch

    def bent_seal(*arguments: object) -> bytes:
        sealed = CALLS.seal(*arguments)  # type: ignore[arg-type]
        return flip(sealed, len(sealed) - 1 if fault == "tag" else 0)

    def gullible(address: int, key: bytes, salt: bytes, iv: bytes, aad: bytes, text: bytes) -> bytes:
        try:
            return CALLS.open(address, key, salt, iv, aad, text)
        except CryptoError:
            return bytes(len(text) - 16)

    bent: dict[str, OpsCalls] = {
        "text": OpsCalls(bent_seal, CALLS.open),
        "tag": OpsCalls(bent_seal, CALLS.open),
        "accepts": OpsCalls(CALLS.seal, gullible),
        "batch": OpsCalls(CALLS.seal, CALLS.open, lambda *a: [text or b"" for text in batch(*a)]),
    }
    _, suite, address = OPS["libcrypto-20-128-0"]
    with pytest.raises(CryptoError, match="self-test"):
        check_ops(address, *suite, bent[fault])


@pytest.mark.parametrize("suite", [(20, 64, 0), (1, 0, 0), (12, 128, 2), (20, 128, 99)])
def test_the_self_test_trusts_nothing_it_knows_no_answer_of(suite: Suite) -> None:
    _, _, address = OPS["libcrypto-20-128-0"]
    with pytest.raises(CryptoError, match="no known answer"):
        check_ops(address, *suite, CALLS)
