"""The stream's format (RFC 9329 sections 3 and 4)."""

from __future__ import annotations

import pytest

from fynx_tcp.framing import LARGEST, PREFIX, Corrupt, Deframer, frame

MESSAGES = [b"\0\0\0\0" + bytes(28), b"esp packet with an SPI", b"\xff", bytes(LARGEST)]


def stream() -> bytes:
    return PREFIX + b"".join(map(frame, MESSAGES))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 65536, 1 << 20])
def test_messages_arrive_however_the_stream_is_cut(step: int) -> None:
    deframer, found = Deframer(prefixed=True), []
    data = stream()
    for at in range(0, len(data), step):
        found += deframer.feed(data[at : at + step])
        assert deframer.held <= LARGEST + 2
    assert found == MESSAGES
    assert not deframer.unfinished


@pytest.mark.parametrize("wrong", [b"G", b"IKE\0", b"IKETCQ", b"\0\0\0\0\0\0"])
def test_another_prefix_is_corrupt(wrong: bytes) -> None:
    with pytest.raises(Corrupt, match="prefix"):
        Deframer(prefixed=True).feed(wrong)


@pytest.mark.parametrize("length", [0, 1])
def test_a_length_that_does_not_count_itself_is_corrupt(length: int) -> None:
    with pytest.raises(Corrupt, match="length"):
        Deframer(prefixed=False).feed(bytes([0, length]))


def test_an_empty_message_is_ignored() -> None:
    assert Deframer(prefixed=False).feed(b"\0\2" + frame(b"next")) == [b"next"]


def test_a_message_before_the_corruption_is_not_lost_with_the_octets_after_it() -> None:
    deframer = Deframer(prefixed=False)
    with pytest.raises(Corrupt):
        deframer.feed(frame(b"good") + b"\0\0" + frame(b"never"))


@pytest.mark.parametrize("message", [b"", bytes(LARGEST + 1)])
def test_what_does_not_fit_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        frame(message)
