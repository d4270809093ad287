"""Proposal strings and transforms: ``aes256gcm16-prfsha384-x25519`` both ways, through the loaded algorithms.

Words of one kind are alternatives: ``aes256gcm16-aes128gcm16-prfsha384-x25519-ecp256`` (RFC 7296 section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fynx.config.problems import Wrong
from fynx.kernel.words import did_you_mean
from fynx.plugin.crypto import Algorithms, Cipher
from fynx.wire.iana import Esn, Protocol, TransformType
from fynx.wire.proposal import Proposal, Transform, transform

_ESN_WORDS = {"esn": Esn.ESN, "noesn": Esn.NO_ESN}
_ORDER = (TransformType.ENCR, TransformType.INTEG, TransformType.PRF, TransformType.KE, TransformType.ESN)
_NOUNS = {
    TransformType.ENCR: "encryption",
    TransformType.PRF: "PRF",
    TransformType.INTEG: "integrity",
    TransformType.KE: "key exchange",
    TransformType.ESN: "sequence number",
}


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    transform: Transform
    cipher: Cipher | None = None


def parse_ike(text: str, algorithms: Algorithms) -> Proposal:
    """An IKE proposal: encryption, PRF, key exchange, and integrity unless it is an AEAD. Raises ``Wrong``."""
    words = _words(text, _vocabulary(algorithms), "IKE")
    _refuse(words, TransformType.ESN, text, "an IKE SA has no extended sequence numbers")
    _check_ciphers(words, text, "IKE", lambda cipher: cipher.ike)
    _need(words, TransformType.PRF, text, algorithms)
    _need(words, TransformType.KE, text, algorithms)
    return _proposal(words, Protocol.IKE)


def parse_esp(text: str, algorithms: Algorithms) -> Proposal:
    """An ESP proposal: encryption, integrity unless it is an AEAD, key exchange for PFS, ``esn`` and ``noesn``.

    Raises ``Wrong``."""
    words = _words(text, _vocabulary(algorithms), "ESP")
    _refuse(words, TransformType.PRF, text, "ESP has no PRF")
    _check_ciphers(words, text, "ESP", lambda cipher: cipher.esp)
    if not _of(words, TransformType.ESN):
        words = (*words, _Word("noesn", transform(TransformType.ESN, Esn.NO_ESN)))
    return _proposal(words, Protocol.ESP)


def remembering(parse: Callable[[str, Algorithms], Proposal], algorithms: Algorithms) -> Callable[[str], Proposal]:
    """``parse`` for one set of algorithms, each text parsed once: thousands of peers say the same."""
    known: dict[str, Proposal] = {}

    def parse_once(text: str) -> Proposal:
        if text not in known:
            known[text] = parse(text, algorithms)
        return known[text]

    return parse_once


def show(proposal: Proposal, algorithms: Algorithms) -> str:
    """The string of a proposal; a transform that no loaded plugin offers appears as ``TYPE:ID`` or ``TYPE:ID/BITS``."""
    names = {_key(word.transform): word.text for word in _vocabulary(algorithms).values()}
    plain_esn = [one.id for one in proposal.of_type(TransformType.ESN)] == [Esn.NO_ESN]
    words = []
    for kind in _ORDER:
        if kind == TransformType.ESN and plain_esn:
            continue
        words += [names.get(_key(one), _number(one)) for one in proposal.of_type(kind)]
    return "-".join(words)


def _vocabulary(algorithms: Algorithms) -> Mapping[str, _Word]:
    words = []
    for cipher in algorithms.ciphers.values():
        bits = cipher.key_bits if cipher.key_length_attribute else None
        words.append(_Word(cipher.keyword, transform(TransformType.ENCR, cipher.transform_id, bits), cipher))
    for prf in algorithms.prfs.values():
        words.append(_Word(prf.keyword, transform(TransformType.PRF, prf.transform_id)))
    for integ in algorithms.integs.values():
        words.append(_Word(integ.keyword, transform(TransformType.INTEG, integ.transform_id)))
    for exchange in algorithms.key_exchanges.values():
        words.append(_Word(exchange.keyword, transform(TransformType.KE, exchange.transform_id)))
    for text, number in _ESN_WORDS.items():
        words.append(_Word(text, transform(TransformType.ESN, number)))
    return {word.text: word for word in words}


def _words(text: str, vocabulary: Mapping[str, _Word], protocol: str) -> tuple[_Word, ...]:
    found: list[_Word] = []
    for word in text.split("-"):
        if word not in vocabulary:
            known = ", ".join(sorted(_usable(vocabulary, protocol)))
            raise Wrong(
                f"{_quoted(text)}: unknown word {_quoted(word)}{did_you_mean(word, vocabulary)}", f"known: {known}"
            )
        if vocabulary[word] in found:
            raise Wrong(f"{_quoted(text)}: {word} stands twice", "remove one of the two")
        found.append(vocabulary[word])
    return tuple(found)


def _usable(vocabulary: Mapping[str, _Word], protocol: str) -> list[str]:
    kinds = {TransformType.ENCR, TransformType.INTEG}
    kinds |= {TransformType.KE, TransformType.PRF if protocol == "IKE" else TransformType.ESN}
    usable = [word for word in vocabulary.values() if word.transform.type in kinds]
    return [each.text for each in usable if each.cipher is None or protocol == "ESP" or each.cipher.ike]


def _check_ciphers(words: Sequence[_Word], text: str, protocol: str, usable: object) -> None:
    ciphers = [word.cipher for word in words if word.cipher is not None]
    if not ciphers:
        raise Wrong(f"{_quoted(text)}: no encryption", "begin with a cipher, such as aes256gcm16")
    for cipher in ciphers:
        if callable(usable) and not usable(cipher):
            raise Wrong(f"{_quoted(text)}: {cipher.keyword} is not for {protocol}", "take another cipher")
    if len({cipher.aead for cipher in ciphers}) > 1:
        what = "AEAD and other ciphers cannot share a proposal (RFC 7296 section 3.3)"
        raise Wrong(f"{_quoted(text)}: {what}", "write one proposal for each")
    integs = _of(words, TransformType.INTEG)
    if ciphers[0].aead and integs:
        rest = "-".join(word.text for word in words if word not in integs)
        raise Wrong(
            f"{_quoted(text)}: {ciphers[0].keyword} brings its own integrity (RFC 5282 section 8)", f"write {rest}"
        )
    if not ciphers[0].aead and not integs:
        raise Wrong(f"{_quoted(text)}: {ciphers[0].keyword} needs an integrity algorithm", f"write {text}-sha256")


def _need(words: Sequence[_Word], kind: TransformType, text: str, algorithms: Algorithms) -> None:
    if _of(words, kind):
        return
    offered = algorithms.prfs.values() if kind == TransformType.PRF else algorithms.key_exchanges.values()
    known = ", ".join(one.keyword for one in offered) or "none is loaded"
    raise Wrong(f"{_quoted(text)}: no {_NOUNS[kind]}", f"add one of: {known}")


def _refuse(words: Sequence[_Word], kind: TransformType, text: str, why: str) -> None:
    unwanted = _of(words, kind)
    if unwanted:
        rest = "-".join(word.text for word in words if word not in unwanted)
        raise Wrong(f"{_quoted(text)}: {unwanted[0].text} does not belong here: {why}", f"write {rest}" if rest else "")


def _of(words: Sequence[_Word], kind: TransformType) -> tuple[_Word, ...]:
    return tuple(word for word in words if word.transform.type == kind)


def _proposal(words: Sequence[_Word], protocol: Protocol) -> Proposal:
    transforms = tuple(word.transform for kind in _ORDER for word in _of(words, kind))
    return Proposal(1, int(protocol), b"", transforms)


def _key(one: Transform) -> tuple[int, int, int]:
    return one.type, one.id, one.key_bits or 0


def _number(one: Transform) -> str:
    return f"{one.type}:{one.id}" + (f"/{one.key_bits}" if one.key_bits else "")


def _quoted(text: str) -> str:
    return repr(text[:128])
