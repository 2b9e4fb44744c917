"""LLVM's linker: object code becomes a function that can be called, without a compiler.

It takes sixteen functions of llvmlite's library. `llvmlite.binding`, which has them all, takes 28 ms to import, a fifth
of a small evaluation. They are not promised to stay as they are: those of an llvmlite that is not known are left to it.
"""

from __future__ import annotations

import os
import platform
import threading
from abc import ABC, abstractmethod
from ctypes import CDLL, POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from functools import cache
from typing import Any

import llvmlite

KNOWN = ("0.45.", "0.46.", "0.47.", "0.48.", "0.49.", "0.50.")
"""The versions that were compared with the table below. A test compares it with the one that is installed."""

_OUT = POINTER(c_char_p)
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "DisposeString": (None, (c_char_p,)),
    "GetProcessTriple": (None, (_OUT,)),
    "GetHostCPUName": (None, (_OUT,)),
    "GetHostCPUFeatures": (c_int, (_OUT,)),
    "InitializeNativeTarget": (c_int, ()),
    "InitializeNativeAsmPrinter": (c_int, ()),
    "GetTargetFromTriple": (c_void_p, (c_char_p, _OUT)),
    "CreateTargetMachine": (
        c_void_p,
        (c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_char_p, c_char_p, c_int, c_int, c_char_p),
    ),
    "ContextCreate": (c_void_p, ()),
    "ParseAssembly": (c_void_p, (c_void_p, c_char_p, _OUT)),
    "CreateMCJITCompiler": (c_void_p, (c_void_p, c_void_p, c_bool, _OUT)),
    "CreateObjectFile": (c_void_p, (c_char_p, c_size_t)),
    "MCJITAddObjectFile": (None, (c_void_p, c_void_p)),
    "DisposeObjectFile": (None, (c_void_p,)),
    "FinalizeObject": (None, (c_void_p,)),
    "GetFunctionAddress": (c_uint64, (c_void_p, c_char_p)),
}
"""By their names behind LLVMPY_: (result, arguments)."""


class Linker(ABC):
    """What LLVM says of this machine, and its linker. The code that it links stays for as long as the process."""

    def __init__(self) -> None:
        self._engine: Any = None
        self._linking = threading.Lock()

    @abstractmethod
    def triple(self) -> str:
        """What LLVM calls the system of this process."""

    @abstractmethod
    def processor(self) -> tuple[str, str]:
        """(name, features) of the processor; "" for features that are not known on this platform."""

    def link(self, code: bytes, symbol: str) -> int | None:
        """The address of a function in object code; None where LLVM does not take the code or has no such function."""
        with self._linking:
            try:
                self._engine = self._engine or self._new_engine()
                return self._address(code, symbol) or None
            except (OSError, RuntimeError):  # of the binding
                return None

    @abstractmethod
    def _new_engine(self) -> Any:
        """What holds linked code; the library has None where this machine has no such thing."""

    @abstractmethod
    def _address(self, code: bytes, symbol: str) -> int | None:
        """Hands the code to the engine, and asks for the function; 0 or None where that fails."""


@cache
def linker() -> Linker:
    """Raises ImportError where llvmlite's library is not there, or broken."""
    from llvmlite.utils import get_library_name

    path = os.path.join(os.path.dirname(llvmlite.__file__), "binding", get_library_name())
    try:
        if os.name == "posix" and llvmlite.__version__.startswith(KNOWN) and os.path.exists(path):
            return Library(CDLL(path))
        return Binding()
    except OSError as error:
        raise ImportError(str(error)) from error


class Library(Linker):
    """The linker by llvmlite's library."""

    def __init__(self, library: CDLL) -> None:
        super().__init__()
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(library, f"LLVMPY_{name}")
            function.restype, function.argtypes = result, arguments
        self._library = library

    def triple(self) -> str:
        return self._text(self._library.LLVMPY_GetProcessTriple)

    def processor(self) -> tuple[str, str]:
        features = self._text(self._library.LLVMPY_GetHostCPUFeatures)
        # LLVM lists them as it happens to hash them.
        in_order = sorted(features.split(","), key=lambda feature: feature[1:])
        return self._text(self._library.LLVMPY_GetHostCPUName), ",".join(in_order)

    def _address(self, code: bytes, symbol: str) -> int | None:
        library, engine = self._library, self._engine
        held = engine and library.LLVMPY_CreateObjectFile(code, len(code))
        if not held:
            return None
        library.LLVMPY_MCJITAddObjectFile(engine, held)
        library.LLVMPY_DisposeObjectFile(held)
        library.LLVMPY_FinalizeObject(engine)
        address: int = library.LLVMPY_GetFunctionAddress(engine, symbol.encode())
        return address

    def _new_engine(self) -> int | None:
        """One with an empty module, in a context of its own: Numba's may be in use by another thread."""
        library, fault = self._library, c_char_p()
        library.LLVMPY_InitializeNativeTarget()
        library.LLVMPY_InitializeNativeAsmPrinter()
        triple = self.triple().encode()
        target = library.LLVMPY_GetTargetFromTriple(triple, byref(fault))
        machine = target and library.LLVMPY_CreateTargetMachine(
            target, triple, b"", b"", 2, b"default", b"jitdefault", 0, 1, b""
        )
        if not machine:
            return None
        module = library.LLVMPY_ParseAssembly(library.LLVMPY_ContextCreate(), b"", byref(fault))
        # As llvmlite chooses: LLVM's own memory may be too far away for jumps of these processors.
        near = platform.machine().lower() in ("arm64", "aarch64")
        engine: int | None = library.LLVMPY_CreateMCJITCompiler(module, machine, near, byref(fault))
        return engine

    def _text(self, function: Any) -> str:
        text = c_char_p()
        function(byref(text))
        found = (text.value or b"").decode()
        self._library.LLVMPY_DisposeString(text)
        return found


class Binding(Linker):
    """The same by `llvmlite.binding`."""

    def __init__(self) -> None:
        from llvmlite import binding

        super().__init__()
        self._binding = binding

    def triple(self) -> str:
        return str(self._binding.get_process_triple())

    def processor(self) -> tuple[str, str]:
        try:
            features = str(self._binding.get_host_cpu_features().flatten())
        except RuntimeError:  # not known on this platform
            features = ""
        return self._binding.get_host_cpu_name(), features

    def _address(self, code: bytes, symbol: str) -> int:
        self._engine.add_object_file(self._binding.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        address: int = self._engine.get_function_address(symbol)
        return address

    def _new_engine(self) -> Any:
        binding = self._binding
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(jit=True)
        return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
