"""The C part: fynx.h comes from the installed Fynx; libcrypto is linked by its file name, without a -dev package."""

from setuptools import Extension, setup

import fynx

setup(
    ext_modules=[
        Extension(
            "fynx_private_gcm._ops",
            ["src/fynx_private_gcm/ops.c"],
            include_dirs=[fynx.get_include()],
            extra_compile_args=["-std=c11", "-O3", "-Wall", "-Wextra", "-Werror"],
            extra_link_args=["-l:libcrypto.so.3"],
        )
    ]
)
