"""Builds the C of Fynx through cffi in API mode, in place: the plane, the providers of its loop, the stack's glue.

``python build_ffi.py`` rebuilds what changed; ``--into DIR`` writes elsewhere; ``--strict`` makes warnings errors, as
CI wants (a user's newer compiler may know new ones); FYNX_SANITIZE=address,undefined builds for the sanitizers; CC
chooses the compiler. A build hook calls ``build(root, into)``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent

STRICT = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-fvisibility=hidden")
GENERATED = ("-Wall", "-Wno-unused-parameter", "-Wno-sign-compare", "-fvisibility=hidden")
OPTIMISED = (
    "-O2",
    "-g",
    "-fPIC",
    "-pthread",
    "-fstack-protector-strong",
    "-D_FORTIFY_SOURCE=2",
    "-fno-strict-aliasing",
)
SANITIZED = ("-O1", "-g", "-fPIC", "-pthread", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined")

PACKET = """
struct fynx_packet {
  const uint8_t *in; uint8_t *out; uint32_t len; uint32_t aad_len; const uint8_t *aad; const uint8_t *iv;
  int32_t rc; uint32_t reserved;
};
struct fynx_aead_ops {
  uint32_t abi; uint32_t size; const char *name; const char *provider; uint16_t encr_id; uint16_t integ_id;
  uint16_t key_len; uint8_t salt_len; uint8_t iv_len; uint8_t icv_len; uint8_t block; uint32_t flags; void *user; ...;
};
"""
CALLBACKS = """
extern "Python" {
  void *fynx_py_key_new(void *user, const uint8_t *key, size_t key_len, const uint8_t *salt);
  void fynx_py_key_free(void *user, void *key);
  void fynx_py_crypt(void *key, struct fynx_packet *packets, uint32_t n, int opening);
}
"""
PROVIDER = """
uintptr_t fynx_provider_ops(int encr_id, int key_bits, int integ_id);
int fynx_provider_open(const char *path);
const char *fynx_provider_version(void);
"""


@dataclass(frozen=True, slots=True)
class Module:
    """One extension module: ``sources`` are compiled strictly, what cffi generates from ``cdef`` leniently."""

    name: str
    folder: str
    sources: tuple[str, ...]
    cdef: str
    preamble: str
    libraries: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return self.name.rpartition(".")[2] + str(sysconfig.get_config_var("EXT_SUFFIX"))


def modules(root: Path) -> tuple[Module, ...]:
    api = (root / "cext/api.h").read_text()
    plane_cdef = PACKET + _between(api) + CALLBACKS
    plane = tuple(sorted(str(path.relative_to(root)) for path in (root / "cext").glob("*.c")))
    providers = tuple(
        Module(
            f"fynx_plugins.{name}._ops",
            f"plugins/fynx_plugins/{name}",
            (f"cext/providers/{name}.c",),
            PROVIDER,
            PROVIDER,
            ("-ldl",),
        )
        for name in ("libcrypto", "ipsecmb", "sodium")
        if (root / f"cext/providers/{name}.c").is_file()
    )
    return (Module("fynx.esp._plane", "fynx/esp", plane, plane_cdef, '#include "api.h"\n'), *providers, _net(root))


def _net(root: Path) -> Module:
    """TCP and UDP inside tunnels: lwIP is opened at run time."""
    sources = tuple(sorted(str(path.relative_to(root)) for path in (root / "cext/net").glob("*.c")))
    cdef = _between((root / "cext/net/net.h").read_text())
    return Module("fynx.net._lwip", "fynx/net", sources, cdef, '#include "net/net.h"\n', ("-ldl",))


def _between(header: str) -> str:
    """What of a header cffi shall read."""
    return header.partition("/* cdef: begin */")[2].partition("/* cdef: end */")[0]


def build(root: Path = ROOT, into: Path | None = None, *, strict: bool = False) -> list[Path]:
    """Builds every module whose inputs changed; returns the extension files made. Raises CalledProcessError."""
    into = into or root
    made = []
    with _locked(into / "build"):
        _copy_header(root, into)
        for module in modules(root):
            target = into / module.folder / module.file
            stamp = into / "build" / f"{module.name}.stamp"
            flags = (*STRICT, "-Werror") if strict else STRICT
            wanted = _fingerprint(root, module, flags)
            if target.is_file() and stamp.is_file() and stamp.read_text() == wanted:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            _compile(root, module, target, flags)
            stamp.write_text(wanted)
            made.append(target)
    return made


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ffi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy_header(root: Path, into: Path) -> None:
    header, copy = root / "cext/include/fynx.h", into / "fynx/include/fynx.h"
    if not copy.is_file() or copy.read_bytes() != header.read_bytes():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(header, copy)


def _compiler() -> list[str]:
    if chosen := os.environ.get("CC"):
        return shlex.split(chosen)
    return [next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "cc")]


def _flags() -> tuple[str, ...]:
    """Python's own CFLAGS are left out on purpose: they carry -fwrapv and -DNDEBUG."""
    sanitizers = os.environ.get("FYNX_SANITIZE", "")
    if not sanitizers:
        return OPTIMISED
    if sanitizers == "1":
        sanitizers = "address,undefined"
    return (*SANITIZED, "-fno-wrapv", "-UNDEBUG", f"-fsanitize={sanitizers}")


def _fingerprint(root: Path, module: Module, flags: Sequence[str]) -> str:
    headers = sorted([*(root / "cext").glob("*.h"), *(root / "cext/include").glob("*.h")])
    if module.folder == "fynx/net":
        headers = sorted((root / "cext/net").glob("*.h"))
    elif module.folder.startswith("plugins"):
        headers = sorted([*(root / "cext/providers").glob("*.h"), *(root / "cext/include").glob("*.h")])
    digest = hashlib.sha256()
    for path in [*headers, *(root / source for source in module.sources)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    facts = [module.cdef, _compiler(), _flags(), flags, GENERATED, module.libraries, sys.version, module.file]
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()


def _compile(root: Path, module: Module, target: Path, flags: Sequence[str]) -> None:
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(module.cdef)
    ffi.set_source(module.name, module.preamble)
    includes = [f"-I{root / 'cext'}", f"-I{root / 'cext/include'}", f"-I{root / 'cext/providers'}"]
    python = f"-I{sysconfig.get_path('include')}"
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        generated = Path(scratch) / "generated.c"
        with contextlib.redirect_stdout(io.StringIO()):  # cffi tells what it generates
            ffi.emit_c_code(str(generated))
        objects = [_object([*_flags(), *GENERATED, *includes, python], generated, scratch)]
        objects += [_object([*_flags(), *flags, *includes], root / source, scratch) for source in module.sources]
        linked = Path(scratch) / module.file
        _run([*_compiler(), "-shared", *_flags(), *objects, "-o", str(linked), *module.libraries])
        linked.replace(target)


def _object(flags: Sequence[str], source: Path, scratch: str) -> str:
    made = str(Path(scratch) / f"{source.stem}.o")
    _run([*_compiler(), *flags, "-c", str(source), "-o", made])
    return made


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the C of Fynx.")
    parser.add_argument("--into", type=Path, help="write the modules under this folder instead of the checkout")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    options = parser.parse_args()
    try:
        made = build(ROOT, options.into, strict=options.strict)
    except subprocess.CalledProcessError as error:
        print(f"build_ffi: the compiler failed: {shlex.join(error.cmd)}", file=sys.stderr)
        return 1
    print("build_ffi: " + (", ".join(path.name for path in made) if made else "nothing to do"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
