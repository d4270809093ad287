"""The numbers of ``fynx.wire.iana`` against the registry."""

from __future__ import annotations

from enum import IntEnum

import pytest

from fynx.wire import encap, header, iana, payload
from fynx.wire.iana import name_of
from tests.unit.wire.registry import REGISTRY

ENUMS: dict[str, type[IntEnum]] = {
    "exchange_types": iana.ExchangeType,
    "payload_types": iana.PayloadType,
    "security_protocols": iana.Protocol,
    "transform_types": iana.TransformType,
    "encryption": iana.Encr,
    "prf": iana.Prf,
    "integrity": iana.Integ,
    "key_exchange": iana.Ke,
    "sequence_numbers": iana.Esn,
    "authentication_methods": iana.AuthMethodId,
    "hash_algorithms": iana.HashAlgorithm,
    "id_types": iana.IdType,
    "traffic_selector_types": iana.TsType,
    "configuration_types": iana.CpType,
    "configuration_attributes": iana.CpAttribute,
    "certificate_encodings": iana.CertEncoding,
    "gateway_identity_types": iana.GatewayIdType,
    "rohc_attributes": iana.RohcAttribute,
    "eap_types": iana.EapType,
}

NOT_IN_THE_REGISTRY = {"payload_types": {0: "NONE"}}

RENAMED = {
    "IDi": "IDI",
    "IDr": "IDR",
    "IDg": "IDG",
    "Ni/Nr": "NONCE",
    "N": "NOTIFY",
    "D": "DELETE",
    "V": "VENDOR",
    "TSi": "TSI",
    "TSr": "TSR",
    "PS (puzzle solution)": "PS",
    "SN (formerly ESN)": "ESN",
    "32-bit Sequential Numbers": "NO_ESN",
    "Partially Transmitted 64-bit Sequential Numbers": "ESN",
    "32-bit Unspecified Numbers": "UNSPECIFIED_32",
    "768-bit MODP group": "MODP_768",
    "1024-bit MODP group": "MODP_1024",
    "1536-bit MODP group": "MODP_1536",
    "2048-bit MODP group": "MODP_2048",
    "3072-bit MODP group": "MODP_3072",
    "4096-bit MODP group": "MODP_4096",
    "6144-bit MODP group": "MODP_6144",
    "8192-bit MODP group": "MODP_8192",
    "256-bit random ECP group (P-256)": "ECP_256",
    "384-bit random ECP group (P-384)": "ECP_384",
    "521-bit random ECP group (P-521)": "ECP_521",
    "1024-bit MODP with 160-bit subgroup": "MODP_1024_160",
    "2048-bit MODP with 224-bit subgroup": "MODP_2048_224",
    "2048-bit MODP with 256-bit subgroup": "MODP_2048_256",
    "192-bit random ECP group": "ECP_192",
    "224-bit random ECP group": "ECP_224",
    "brainpoolP224r1": "BRAINPOOL_P224R1",
    "brainpoolP256r1": "BRAINPOOL_P256R1",
    "brainpoolP384r1": "BRAINPOOL_P384R1",
    "brainpoolP512r1": "BRAINPOOL_P512R1",
    "Curve25519": "CURVE25519",
    "Curve448": "CURVE448",
    "ML-KEM-512": "ML_KEM_512",
    "ML-KEM-768": "ML_KEM_768",
    "ML-KEM-1024": "ML_KEM_1024",
    "RSA Digital Signature": "RSA_SIGNATURE",
    "Shared Key Message Integrity Code": "SHARED_KEY",
    "DSS Digital Signature": "DSS_SIGNATURE",
    "ECDSA with SHA-256 on P-256": "ECDSA_SHA256_P256",
    "ECDSA with SHA-384 on P-384": "ECDSA_SHA384_P384",
    "ECDSA with SHA-512 on P-521": "ECDSA_SHA512_P521",
    "Generic Secure Password Authentication Method": "SECURE_PASSWORD",
    "NULL Authentication": "NULL",
    "Digital Signature": "DIGITAL_SIGNATURE",
    "SHA2-256": "SHA2_256",
    "SHA2-384": "SHA2_384",
    "SHA2-512": "SHA2_512",
    "PKCS #7 wrapped X.509 certificate": "PKCS7_X509",
    "PGP Certificate": "PGP",
    "DNS Signed Key": "DNS_SIGNED_KEY",
    "X.509 Certificate - Signature": "X509_SIGNATURE",
    "Kerberos Token": "KERBEROS_TOKEN",
    "Certificate Revocation List (CRL)": "CRL",
    "Authority Revocation List (ARL)": "ARL",
    "SPKI Certificate": "SPKI",
    "X.509 Certificate - Attribute": "X509_ATTRIBUTE",
    "Raw RSA Key (deprecated)": "RAW_RSA_KEY",
    "Hash and URL of X.509 certificate": "HASH_AND_URL_X509",
    "Hash and URL of X.509 bundle": "HASH_AND_URL_BUNDLE",
    "OCSP Content": "OCSP_CONTENT",
    "Raw Public Key (SubjectPublicKeyInfo)": "RAW_PUBLIC_KEY",
    "IPv4 address": "IPV4",
    "IPv6 address": "IPV6",
    "Identity": "IDENTITY",
    "Notification": "NOTIFICATION",
    "Legacy Nak": "LEGACY_NAK",
    "MD5-Challenge": "MD5_CHALLENGE",
    "One-Time Password": "ONE_TIME_PASSWORD",
    "Generic Token Card": "GENERIC_TOKEN_CARD",
    "EAP-TLS": "TLS",
    "EAP-SIM": "SIM",
    "EAP-TTLS": "TTLS",
    "EAP-AKA": "AKA",
    "EAP-MSCHAPv2": "MSCHAPV2",
    "EAP-AKA'": "AKA_PRIME",
    "EAP-GPSK": "GPSK",
    "EAP-pwd": "PWD",
    "Expanded types": "EXPANDED",
    "Experimental": "EXPERIMENTAL",
}
"""The registry's descriptions that are no names, and what we call them."""


def expected(key: str) -> dict[int, str]:
    return NOT_IN_THE_REGISTRY.get(key, {}) | {value: RENAMED.get(name, name) for value, name in REGISTRY[key].items()}


def members(enum: type[IntEnum]) -> dict[int, str]:
    return {member.value: name for name, member in enum.__members__.items()}


@pytest.mark.parametrize("key", ENUMS)
def test_an_enumeration_is_its_registry(key: str) -> None:
    assert members(ENUMS[key]) == expected(key)


def test_notifications_are_those_of_both_registries() -> None:
    assert members(iana.NotifyType) == expected("notify_error") | expected("notify_status")
    assert min(REGISTRY["notify_status"]) == iana.FIRST_STATUS
    assert max(REGISTRY["notify_error"]) < iana.FIRST_STATUS


def test_every_registry_is_compared() -> None:
    assert {*ENUMS, "notify_error", "notify_status"} == set(REGISTRY)


def test_a_number_has_its_name_or_says_that_it_has_none() -> None:
    assert name_of(iana.NotifyType, 14) == "NO_PROPOSAL_CHOSEN"
    assert name_of(iana.NotifyType, 12345) == "NotifyType?(12345)"
    assert name_of(iana.Ke, 31) == "CURVE25519"


def test_the_constants_beside_the_registries_are_those_of_the_rfcs() -> None:
    """``constants`` of ``iana/ikev2.yaml``."""
    assert (header.HEADER_LEN, iana.KEY_LENGTH) == (28, 14)
    assert (header.FLAG_INITIATOR, header.FLAG_VERSION, header.FLAG_RESPONSE) == (0x08, 0x10, 0x20)
    assert (payload.NONCE_MIN, payload.NONCE_MAX) == (16, 256)
    assert (encap.MARKER, encap.KEEPALIVE) == (b"\0\0\0\0", b"\xff")
