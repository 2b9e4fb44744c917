"""LLVM's linker, by llvmlite's library and by its binding: the same answers, and code that it does not take."""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite
import pytest
from llvmlite import binding

from lossctl_kernels import linker
from lossctl_kernels.linker import SIGNATURES, Binding, Library, Linker

IR = "define i64 @{name}(i64 %x) {{\n  %y = mul i64 %x, {factor}\n  ret i64 %y\n}}\n"

ROADS = {"library": linker.linker.__wrapped__, "binding": Binding}
roads = pytest.mark.parametrize("road", list(ROADS))


def object_code(name: str, factor: int) -> bytes:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True, codemodel="jitdefault")
    return bytes(machine.emit_object(binding.parse_assembly(IR.format(name=name, factor=factor))))


def kind(ctype: Any) -> str:
    """What a caller of a C function has to know of a type."""
    if ctype is None or ctype is ctypes.c_int:  # what is not declared is taken for an int, and not looked at
        return "nothing or int"
    if issubclass(ctype, ctypes._Pointer) or ctype in (ctypes.c_void_p, ctypes.c_char_p):
        return "pointer"
    return str(ctype.__name__)


@pytest.mark.parametrize("name", list(SIGNATURES))
def test_the_functions_are_those_of_the_binding(name: str) -> None:
    function = getattr(binding.ffi.lib, f"LLVMPY_{name}")
    result, arguments = SIGNATURES[name]
    assert kind(result) == kind(function.restype)
    declared = function.argtypes
    if declared is None:  # as of those without arguments, and of the one that the binding passes a pointer by itself
        assert arguments in ((), (ctypes.c_char_p,))
    else:
        assert [kind(each) for each in arguments] == [kind(each) for each in declared]


def test_the_installed_llvmlite_is_called_without_its_binding() -> None:
    assert isinstance(ROADS["library"](), Library)


def test_an_llvmlite_that_is_not_known_is_left_to_its_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvmlite, "__version__", "0.451.0")
    assert isinstance(ROADS["library"](), Binding)


def test_a_library_that_is_elsewhere_is_left_to_the_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvmlite, "__file__", "/nowhere/llvmlite/__init__.py")
    assert isinstance(ROADS["library"](), Binding)


def test_a_broken_library_is_one_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise OSError(f"{path}: invalid ELF header")

    monkeypatch.setattr(linker, "CDLL", refuse)
    with pytest.raises(ImportError, match="invalid ELF header"):
        ROADS["library"]()


def test_both_say_the_same_of_the_machine() -> None:
    direct, through = ROADS["library"](), Binding()
    assert direct.triple() == through.triple() == binding.get_process_triple()
    assert direct.processor() == through.processor()
    assert direct.processor()[0] == binding.get_host_cpu_name()


@roads
def test_code_is_called(road: str) -> None:
    found: Linker = ROADS[road]()
    for name, factor in (("treble", 3), ("quintuple", 5)):
        address = found.link(object_code(name, factor), name)
        assert address
        assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(-7) == -7 * factor


@roads
def test_a_function_that_is_not_there_is_none(road: str) -> None:
    assert ROADS[road]().link(object_code("treble", 3), "quintuple") is None


def test_code_that_the_library_does_not_take_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ROADS["library"]()
    monkeypatch.setattr(found, "_new_engine", lambda: None)
    assert found.link(object_code("treble", 3), "treble") is None


def test_code_that_the_binding_does_not_take_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("no JIT on this platform")

    found = Binding()
    monkeypatch.setattr(found, "_new_engine", refuse)
    assert found.link(object_code("treble", 3), "treble") is None


def test_features_that_are_not_known_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> None:
        raise RuntimeError("not on this platform")

    monkeypatch.setattr(binding, "get_host_cpu_features", unknown)
    name, features = Binding().processor()
    assert name
    assert features == ""
    found = ROADS["library"]()
    monkeypatch.setattr(found, "_text", lambda function: "" if "Features" in function.__name__ else "znver4")
    assert found.processor() == ("znver4", "")
