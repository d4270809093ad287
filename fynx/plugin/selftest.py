"""Self-tests with known answers: of algorithm plugins at boot, and of any ``fynx_aead_ops`` before its first use."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import ParamSpec

from fynx.errors import CryptoError
from fynx.plugin.crypto import Cipher, KeyExchange

P = ParamSpec("P")

Seal = Callable[[int, bytes, bytes, bytes, bytes, bytes], bytes]
"""(address of the ops, key, salt, iv, aad, text) -> sealed or opened text; ``CryptoError`` when the ops refuses."""


@dataclass(frozen=True, slots=True)
class OpsPacket:
    """One packet of a batch: ``text`` is plaintext to seal, or ciphertext and ICV to open."""

    iv: bytes
    aad: bytes
    text: bytes


Batch = Callable[[int, bytes, bytes, Sequence[OpsPacket], bool], Sequence[bytes | None]]
"""(address, key, salt, packets, opening) -> texts, None for each refused packet; in place, in one call of the ops."""


@dataclass(frozen=True, slots=True)
class OpsCalls:
    """How the caller reaches an ops: one packet out of place, and optionally a batch in place."""

    seal: Seal
    open: Seal
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class CipherAnswer:
    key: bytes
    iv: bytes
    aad: bytes
    plain: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class KexAnswer:
    private_i: bytes
    public_i: bytes
    private_r: bytes
    public_r: bytes
    shared: bytes


def expect(name: str, got: bytes | str, wanted: bytes | str) -> None:
    """Raises ``CryptoError``, without either value, when they differ."""
    if type(got) is not type(wanted) or not compare_digest(_octets(got), _octets(wanted)):
        raise CryptoError(f"self-test of {name}: the known answer differs")


def _octets(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def refuses(name: str, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Raises ``CryptoError`` unless ``call`` does."""
    try:
        call(*args, **kwargs)
    except CryptoError:
        return
    raise CryptoError(f"self-test of {name}: was accepted")


def check_cipher(cipher: Cipher, answer: CipherAnswer) -> None:
    """Known answer both ways; for an AEAD, a forged octet in text, tag and additional data is refused."""
    key = cipher.key(answer.key)
    expect(cipher.keyword, key.seal(answer.iv, answer.plain, answer.aad), answer.sealed)
    expect(cipher.keyword, key.open(answer.iv, answer.sealed, answer.aad), answer.plain)
    if not cipher.aead:
        return
    for place in (0, len(answer.sealed) - 1):
        refuses(f"{cipher.keyword}: a forged octet", key.open, answer.iv, flip(answer.sealed, place), answer.aad)
    refuses(f"{cipher.keyword}: forged additional data", key.open, answer.iv, answer.sealed, flip(answer.aad, 0))


def check_key_exchange(method: KeyExchange, answer: KexAnswer, *, responder: bool = True) -> None:
    """Known answer in both roles or the initiator's, the private values taken through the injected randomness."""
    offer = method.start(_replay(answer.private_i))
    expect(f"{method.keyword}: initiator's value", offer.public, answer.public_i)
    expect(f"{method.keyword}: initiator's secret", offer.finish(answer.public_r), answer.shared)
    if not responder:
        return
    public, shared = method.answer(answer.public_i, _replay(answer.private_r))
    expect(f"{method.keyword}: responder's value", public, answer.public_r)
    expect(f"{method.keyword}: responder's secret", shared, answer.shared)


def _replay(private: bytes) -> Callable[[int], bytes]:
    def random(length: int) -> bytes:
        if length != len(private):
            raise CryptoError(f"self-test: {length} random octets wanted, {len(private)} expected")
        return private

    return random


def flip(octets: bytes, place: int, bit: int = 0) -> bytes:
    """A copy with one bit changed."""
    changed = bytearray(octets)
    changed[place] ^= 1 << bit
    return bytes(changed)


# ---------------------------------------------------------------------------------------------------------------------
# Implementations for the C loop


def has_answers(encr_id: int, key_bits: int, integ_id: int) -> bool:
    """Whether ``check_ops`` knows this suite."""
    return (encr_id, 256 if encr_id == CHACHA else key_bits) in SWEEPS and (not integ_id or integ_id in HASHES)


def check_ops(address: int, encr_id: int, key_bits: int, integ_id: int, calls: OpsCalls) -> None:
    """Trust in the ``fynx_aead_ops`` at ``address``: known answers, many lengths, forgeries, batches.

    ``key_bits`` as in the transform's attribute (0 or 256 for ChaCha20-Poly1305). Raises ``CryptoError`` when the ops
    errs, or when nothing is known of the algorithm (see ``fynx.plugin.agreement`` for those).
    """
    suite = OpsSuite(address, encr_id, 256 if encr_id == CHACHA else key_bits, integ_id)
    if not has_answers(encr_id, key_bits, integ_id):
        raise CryptoError(f"self-test of {suite}: no known answer")
    _check_known(suite, calls)
    _check_sweep(suite, calls)
    _check_forgeries(suite, calls)
    if calls.batch is not None:
        _check_batch(suite, calls.batch)


@dataclass(frozen=True, slots=True)
class OpsSuite:
    """One ops, with the keys and packets of its self-test."""

    address: int
    encr_id: int
    key_bits: int
    integ_id: int

    def __str__(self) -> str:
        return f"encryption {self.encr_id} ({self.key_bits} bits) with integrity {self.integ_id}"

    @property
    def key(self) -> bytes:
        return stream(self.key_bits // 8, b"key") + self.integ_key

    @property
    def salt(self) -> bytes:
        return stream(4, b"salt") if self.encr_id in (AES_GCM, CHACHA) else b""

    @property
    def iv(self) -> bytes:
        return stream({AES_CBC: 16, NULL: 0}.get(self.encr_id, 8), b"iv")

    @property
    def integ_key(self) -> bytes:
        return stream(HASHES[self.integ_id][1], b"integrity") if self.integ_id else b""

    @property
    def icv_len(self) -> int:
        return HASHES[self.integ_id][1] // 2 if self.integ_id else 16

    def packet(self, length: int, *, esn: bool = False) -> OpsPacket:
        rounded = length - length % (16 if self.encr_id == AES_CBC else 1)
        return OpsPacket(self.iv, stream(12 if esn else 8, b"aad"), stream(rounded, b"plain"))

    def icv(self, packet: OpsPacket, text: bytes, key: bytes) -> bytes:
        """SPI | low | IV | ciphertext, then the high half with ESN (RFC 4303 section 2.8)."""
        if not self.integ_id:
            return b""
        spi, high, low = packet.aad[:4], packet.aad[4:-4], packet.aad[-4:]
        return hmac.digest(key, spi + low + packet.iv + text + high, HASHES[self.integ_id][0])[: self.icv_len]


def stream(length: int, label: bytes) -> bytes:
    """Octets that look random and are always the same."""
    return hashlib.shake_128(label).digest(length)


def _check_known(suite: OpsSuite, calls: OpsCalls) -> None:
    """The published answer; for a combined ops its ICV comes from the standard library's HMAC."""
    keyword = KEYWORDS.get((suite.encr_id, suite.key_bits))
    if keyword is None:
        return
    answer = CIPHER_ANSWERS[keyword]
    key, salt = answer.key[: suite.key_bits // 8], answer.key[suite.key_bits // 8 :]
    packet = OpsPacket(answer.iv, answer.aad or stream(8, b"aad"), answer.plain)
    sealed = answer.sealed + suite.icv(packet, answer.sealed, suite.integ_key)
    key += suite.integ_key
    expect(str(suite), calls.seal(suite.address, key, salt, packet.iv, packet.aad, packet.text), sealed)
    expect(str(suite), calls.open(suite.address, key, salt, packet.iv, packet.aad, sealed), packet.text)


def _check_sweep(suite: OpsSuite, calls: OpsCalls) -> None:
    """Lengths on both sides of every block and stride, 8 and 12 octets of additional data; and back again."""
    digest = hashlib.sha256()
    key, salt, integ_key = suite.key, suite.salt, suite.integ_key
    for length in SWEEP_LENGTHS:
        for esn in (False, True):
            packet = suite.packet(length, esn=esn)
            sealed = calls.seal(suite.address, key, salt, packet.iv, packet.aad, packet.text)
            opened = calls.open(suite.address, key, salt, packet.iv, packet.aad, sealed)
            expect(f"{suite}, {length} octets", opened, packet.text)
            text = sealed[: len(packet.text)] if suite.integ_id else sealed
            icv = suite.icv(packet, text, integ_key)
            expect(f"{suite}, {length} octets", sealed, text + icv)
            digest.update(text)
    expect(f"{suite}, all lengths", digest.hexdigest(), SWEEPS[suite.encr_id, suite.key_bits])


def _check_forgeries(suite: OpsSuite, calls: OpsCalls) -> None:
    """Each octet of the ICV, the text's ends, the IV and the additional data count."""
    key, salt = suite.key, suite.salt
    packet = suite.packet(64, esn=True)
    sealed = calls.seal(suite.address, key, salt, packet.iv, packet.aad, packet.text)
    good = replace(packet, text=sealed)
    forged = [replace(good, text=flip(sealed, place)) for place in (0, 63, *range(64, len(sealed)))]
    forged += [replace(good, aad=flip(good.aad, place)) for place in range(12)]
    forged += [replace(good, iv=flip(good.iv, place)) for place in range(len(good.iv))]
    for bad in forged:
        refuses(f"{suite}: a forged packet", calls.open, suite.address, key, salt, bad.iv, bad.aad, bad.text)


def _check_batch(suite: OpsSuite, batch: Batch) -> None:
    """In place; one bad packet in each position spoils itself alone."""
    packets = [suite.packet(length, esn=bool(length & 1)) for length in BATCH_LENGTHS]
    sealed = batch(suite.address, suite.key, suite.salt, packets, False)
    texts = [text for text in sealed if text is not None]
    if len(texts) != len(packets):
        raise CryptoError(f"self-test of {suite}: a batch lost packets")
    closed = [replace(packet, text=text) for packet, text in zip(packets, texts, strict=True)]
    for bad in range(-1, len(closed)):
        tried = list(closed)
        if bad >= 0:
            tried[bad] = replace(tried[bad], text=flip(tried[bad].text, len(tried[bad].text) - 1))
        wanted = [None if place == bad else packet.text for place, packet in enumerate(packets)]
        if list(batch(suite.address, suite.key, suite.salt, tried, True)) != wanted:
            raise CryptoError(f"self-test of {suite}: a batch with one bad packet")


NULL, AES_CBC, AES_GCM, CHACHA = 11, 12, 20, 28  # transform type 1
HASHES = {
    12: ("sha256", 32),
    13: ("sha384", 48),
    14: ("sha512", 64),
}  # transform type 3: name, octets of key and output
KEYWORDS = {
    (AES_GCM, 128): "aes128gcm16",
    (AES_GCM, 192): "aes192gcm16",
    (AES_GCM, 256): "aes256gcm16",
    (CHACHA, 256): "chacha20poly1305",
    (AES_CBC, 128): "aes128",
    (AES_CBC, 192): "aes192",
    (AES_CBC, 256): "aes256",
}

CIPHER_ANSWERS = {
    "aes128gcm16": CipherAnswer(  # draft-mcgrew-gcm-test-01, case 1
        key=bytes.fromhex("4c80cdefbb5d10da906ac73c3613a6342e443b68"),
        iv=bytes.fromhex("4956ed7e3b244cfe"),
        aad=bytes.fromhex("000043218765432100000000"),
        plain=bytes.fromhex(
            "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f7564700373"
            "69700963796265726369747902646b000021000101020201"
        ),
        sealed=bytes.fromhex(
            "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1f4a13c5d"
            "15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe722fd04796562dfdb4"
        ),
    ),
    "aes192gcm16": CipherAnswer(  # draft-mcgrew-gcm-test-01, case 7
        key=bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe"),
        iv=bytes.fromhex("facedbaddecaf888"),
        aad=bytes.fromhex("0000a5f80000000a"),
        plain=bytes.fromhex("45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001"),
        sealed=bytes.fromhex(
            "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc7795457b9652037f53"
            "18027b5b4cd7a636"
        ),
    ),
    "aes256gcm16": CipherAnswer(  # draft-mcgrew-gcm-test-01, case 3
        key=bytes.fromhex("abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344"),
        iv=bytes.fromhex("0102030405060708"),
        aad=bytes.fromhex("4a2cbfe300000002"),
        plain=bytes.fromhex(
            "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b40101040201020201"
        ),
        sealed=bytes.fromhex(
            "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f0545659f14e99d"
            "ef842d8eb335f4eecfdbf831824b4c4915956c96"
        ),
    ),
    "chacha20poly1305": CipherAnswer(  # RFC 7634 appendix A
        key=bytes.fromhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3"),
        iv=bytes.fromhex("1011121314151617"),
        aad=bytes.fromhex("0102030400000005"),
        plain=bytes.fromhex(
            "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f10111213"
            "1415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204"
        ),
        sealed=bytes.fromhex(
            "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f7"
            "2aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7"
            "b11b369907e1ad43"
        ),
    ),
    "aes128": CipherAnswer(  # NIST SP 800-38A section F.2, CBC-AES128
        key=bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"),
        iv=bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
        aad=b"",
        plain=bytes.fromhex(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef"
            "f69f2445df4f9b17ad2b417be66c3710"
        ),
        sealed=bytes.fromhex(
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e22229516"
            "3ff1caa1681fac09120eca307586e1a7"
        ),
    ),
    "aes192": CipherAnswer(  # NIST SP 800-38A section F.2, CBC-AES192
        key=bytes.fromhex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"),
        iv=bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
        aad=b"",
        plain=bytes.fromhex(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef"
            "f69f2445df4f9b17ad2b417be66c3710"
        ),
        sealed=bytes.fromhex(
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e0"
            "08b0e27988598881d920a9e64f5615cd"
        ),
    ),
    "aes256": CipherAnswer(  # NIST SP 800-38A section F.2, CBC-AES256
        key=bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
        iv=bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
        aad=b"",
        plain=bytes.fromhex(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52ef"
            "f69f2445df4f9b17ad2b417be66c3710"
        ),
        sealed=bytes.fromhex(
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461"
            "b2eb05e2c39be9fcda6c19078c6a9d1b"
        ),
    ),
}
"""By keyword; the salt stands at the end of the key."""

SWEEP_LENGTHS = (0, 1, 15, 16, 17, 31, 32, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 1024, 1398, 1400, 4096)
BATCH_LENGTHS = (64, 1400, 0, 48, 1280)

# SHA-256 over what ``OpsSuite.packet`` gives sealed (without the ICV where an integrity algorithm makes it), for
# each of SWEEP_LENGTHS without and with ESN; computed once with the Python package cryptography 50.0.2.
SWEEPS = {
    (20, 128): "425c17e09e63b0b77a88e620013647b55b88fa44e88677e437700a977f5e4811",
    (20, 192): "36d8c057f404bd67392fb22715275543d6ab3f5f42f38da23507a76b140dbaf2",
    (20, 256): "a038f59b3e7b5b1cefe12b531e988dc7d2b040d7ec59b855bcf60be2f69d6920",
    (28, 256): "cc2fbd90a63d197ba53777e271fbc6f1d17d3a151d8691f3e39d83374f5e92c4",
    (12, 128): "faf626d94e14a99762dbefcbdebd332f1b5704bd22c689a590413809aee67021",
    (12, 192): "f56609863d1f40b3ee7366db66d5006b0fc0bbe9b8ee0bb181c58ddf347d9b0b",
    (12, 256): "1a663ff8909978c9f9bd59b7d17e2f3c59005b27a87b8fdef3eeadd48b5f99b8",
    (11, 0): "342425e8108ffdef880df198f9f74969c786290c4e2daa9deeacce08f9ffff44",
}
