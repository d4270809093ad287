"""The transports udp and memory, and the stores file and memory."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path as File

import pytest

from fynx.plugin import ConfigError, Datagram, Path
from fynx_plugins.memory import MemoryConfig, MemoryTransport, Switchboard
from fynx_plugins.store_file.store import FileStore, FileStoreConfig
from fynx_plugins.store_memory import MemoryStore, MemoryStoreConfig
from fynx_plugins.udp.config import UdpConfig
from fynx_plugins.udp.port import UdpTransport
from tests.unit.run.pair import run, soon


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_udp_knows_the_local_address_and_answers_from_it(address: str) -> None:
    wildcard = "::" if ":" in address else "0.0.0.0"

    async def test() -> None:
        seen: list[Datagram] = []
        port = await UdpTransport().open(UdpConfig(listen=(wildcard,), ports=(0, 0)), seen.append)
        port.attach()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as stranger:
            stranger.bind((address, 0))
            stranger.setblocking(False)
            stranger.sendto(b"ping", (address, port.local[0].local_port))
            await soon(lambda: seen)
            path = seen[0].path
            assert (path.local, path.local_port) == (address, port.local[0].local_port)
            assert (path.remote, path.remote_port) == stranger.getsockname()[:2]
            port.send([Datagram(path, b"pong")])
            await soon(lambda: _readable(stranger))
            data, source = stranger.recvfrom(100)
            assert (data, source[0]) == (b"pong", address)
        port.close()

    run(test)


def _readable(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_udp_reads_a_flood_in_batches_and_loses_nothing_of_it() -> None:
    async def test() -> None:
        seen: list[Datagram] = []
        port = await UdpTransport().open(UdpConfig(listen=("127.0.0.1",), ports=(0,)), seen.append)
        port.attach()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(200):
                stranger.sendto(bytes([number]), ("127.0.0.1", port.local[0].local_port))
        await soon(lambda: len(seen) == 200)
        assert [datagram.data[0] for datagram in seen] == list(range(200))
        port.close()

    run(test)


def test_udp_counts_what_the_system_refuses_and_raises_nothing() -> None:
    async def test() -> None:
        port = await UdpTransport().open(UdpConfig(listen=("127.0.0.1",), ports=(0,)), lambda _datagram: None)
        number = port.local[0].local_port
        for path in (
            Path("127.0.0.1", number, "", 0),
            Path("127.0.0.1", number, "no address", 1),
            Path("127.0.0.1", 1, "127.0.0.1", 1),
            Path("198.51.100.77", number, "127.0.0.1", 9),
            Path("", number, "2001:db8::1", 9),
        ):
            port.send([Datagram(path, b"x")])
        port.send([Datagram(Path("", number, "127.0.0.1", 9), bytes(70000))])
        assert getattr(port, "lost") == 6  # noqa: B009  not part of the contract of ports
        port.close()

    run(test)


def test_udp_leaves_sockets_alone_that_a_plane_took() -> None:
    async def test() -> None:
        seen: list[Datagram] = []
        port = await UdpTransport().open(UdpConfig(listen=("127.0.0.1",), ports=(0,)), seen.append)
        port.sockets()[0].taken = True
        port.attach()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"x", ("127.0.0.1", port.local[0].local_port))
        await asyncio.sleep(0.02)
        assert seen == []
        port.close()

    run(test)


def test_udp_opens_all_or_nothing() -> None:
    async def test() -> None:
        first = await UdpTransport().open(UdpConfig(listen=("127.0.0.1",), ports=(0,)), lambda _datagram: None)
        taken = first.local[0].local_port
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match=f"UDP port {taken} on 127.0.0.1"):
            await UdpTransport().open(UdpConfig(listen=("::1", "127.0.0.1"), ports=(0, taken)), lambda _datagram: None)
        assert len(os.listdir("/proc/self/fd")) == before
        first.close()

    run(test)


@pytest.mark.parametrize(
    "wrong",
    [
        {"listen": ()},
        {"listen": ("nowhere",)},
        {"ports": ()},
        {"ports": (1, 2, 3)},
        {"ports": (70000,)},
        {"ports": (9, 9)},
    ],
)
def test_udp_sections_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        UdpConfig(**wrong)  # type: ignore[arg-type]


def test_a_switchboard_has_one_port_per_address_and_delivers_later() -> None:
    async def test() -> None:
        network, seen = Switchboard(), list[Datagram]()
        first = await MemoryTransport().open(MemoryConfig("192.0.2.1", network=network), seen.append)
        with pytest.raises(OSError, match="taken"):
            await MemoryTransport().open(MemoryConfig("192.0.2.1", network=network), seen.append)
        second = await MemoryTransport().open(MemoryConfig("192.0.2.2", network=network), seen.append)
        first.attach()
        second.attach()
        second.send([Datagram(Path("", 500, "192.0.2.1", 500), b"x"), Datagram(Path("", 500, "192.0.2.7", 500), b"y")])
        assert seen == []
        await soon(lambda: seen)
        assert seen == [Datagram(Path("192.0.2.1", 500, "192.0.2.2", 500), b"x")]
        assert (network.carried, network.lost) == (1, 1)
        first.close()
        second.close()
        await MemoryTransport().open(MemoryConfig("192.0.2.1", network=network), seen.append)

    run(test)


def test_two_switchboards_share_nothing() -> None:
    async def test() -> None:
        seen: list[Datagram] = []
        config = MemoryConfig("192.0.2.1", network=Switchboard())
        await MemoryTransport().open(config, seen.append)
        await MemoryTransport().open(MemoryConfig("192.0.2.1", network=Switchboard()), seen.append)

    run(test)


def test_memory_from_a_file_says_that_only_a_program_can_use_it() -> None:
    async def test() -> None:
        with pytest.raises(OSError, match="given by the program"):
            await MemoryTransport().open(MemoryConfig(), lambda _datagram: None)

    run(test)


@pytest.fixture
def folder(tmp_path: File) -> File:
    root = tmp_path / "store"
    root.mkdir(mode=0o700)
    return root


def test_a_file_store_keeps_values_with_mode_0600(folder: File) -> None:
    store = FileStore().open(FileStoreConfig(str(folder)))
    assert store.read("psk", "hq") is None
    store.write("psk", "hq", b"value")
    store.write("psk", "hq", b"newer")
    assert store.read("psk", "hq") == b"newer"
    assert (folder / "psk" / "hq").stat().st_mode & 0o777 == 0o600
    assert list(store.scan("psk")) == ["hq"]
    store.delete("psk", "hq")
    store.delete("psk", "hq")
    assert list(store.scan("psk")) == []


@pytest.mark.parametrize("kind", ["mode", "link", "fifo", "folder", "large"])
def test_a_file_store_refuses_what_is_unsafe_and_says_what_to_run(folder: File, kind: str) -> None:
    """Row L2."""
    store = FileStore().open(FileStoreConfig(str(folder)))
    store.write("psk", "good", b"secret")
    path = folder / "psk" / "hq"
    match kind:
        case "mode":
            store.write("psk", "hq", b"secret")
            path.chmod(0o640)
        case "link":
            path.symlink_to(folder / "psk" / "good")
        case "fifo":
            os.mkfifo(path, 0o600)
        case "folder":
            path.mkdir(mode=0o700)
        case "large":
            store.write("psk", "hq", bytes((1 << 20) + 1))
    with pytest.raises(ConfigError) as caught:
        store.read("psk", "hq")
    assert str(path) in str(caught.value)
    assert caught.value.problems[0].remedy
    assert "secret" not in str(caught.value)


def test_a_file_store_directory_must_exist_and_be_ours_alone(folder: File) -> None:
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 0700"):
        FileStore().open(FileStoreConfig(str(folder)))
    with pytest.raises(ConfigError, match="install -d"):
        FileStore().open(FileStoreConfig(str(folder / "nowhere")))


@pytest.mark.parametrize("name", ["", "..", "../etc", "a/b", ".hidden", "a\0b", "x" * 200])
def test_a_file_store_takes_no_name_that_leaves_its_directory(folder: File, name: str) -> None:
    store = FileStore().open(FileStoreConfig(str(folder)))
    with pytest.raises(ConfigError, match="no name"):
        store.read("psk", name)
    with pytest.raises(ConfigError, match="no name"):
        store.write(name, "hq", b"")


def test_memory_stores_forget_and_share_nothing() -> None:
    first, second = MemoryStore().open(MemoryStoreConfig()), MemoryStore().open(MemoryStoreConfig())
    first.write("psk", "hq", b"value")
    assert first.read("psk", "hq") == b"value"
    assert list(first.scan("psk")) == ["hq"]
    assert second.read("psk", "hq") is None
    first.delete("psk", "hq")
    assert first.read("psk", "hq") is None
    assert b"value" not in repr(first).encode()
