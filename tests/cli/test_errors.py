"""Every wrong input is one line on stderr with the right exit code; nothing on stdout, no file left, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import call, refused

USAGE, DATA, ENVIRONMENT = 2, 3, 4

# What follows `lossctl eval`, the exit code, and what the line must say.
Case = tuple[str, int, tuple[str, ...]]

FILES: list[Case] = [
    ("absent.npy y.npy -l bce", DATA, ("no such file: absent.npy",)),
    ("p.npy absent.npy -l bce", DATA, ("no such file: absent.npy",)),
    ("p.npy indx.npy -l bce", DATA, ("no such file: indx.npy; did you mean 'index.npy'?",)),
    ("p.npy y.npy -l bce --weights absent.npy", DATA, ("no such file: absent.npy",)),
    ("classes.npy index.npy -l scce --class-weights absent.npy", DATA, ("no such file: absent.npy",)),
    ("p.npy/x.npy y.npy -l bce", DATA, ("p.npy/x.npy",)),
    ("p.xyz y.npy -l bce", USAGE, ("'.xyz'", ".parquet", "--pred-format")),
    ("p.npy p.xyz -l bce", USAGE, ("'.xyz'", "--target-format")),
    ("p.npy y.npy -l bce --pred-format xml", USAGE, ("'xml'", "npy, npz, csv")),
    ("table.csv y.npy -l bce --pred-format npy", DATA, ("table.csv is not npy", "csv")),
    ("truncated.npy y.npy -l bce", DATA, ("truncated.npy is truncated", "152 bytes", "147")),
    ("header_only.npy y.npy -l bce", DATA, ("header_only.npy",)),
    ("not_npy.npy y.npy -l bce", DATA, ("not_npy.npy is not npy", "text")),
    ("nothing.npy y.npy -l bce", DATA, ("nothing.npy is empty (0 bytes)",)),
    ("folder.npy y.npy -l bce", DATA, ("folder.npy holds no files",)),
    ("loop.npy y.npy -l bce", DATA, ("loop.npy",)),
    ("/dev/null y.npy -l bce --pred-format npy", DATA, ("/dev/null", "is a device, not a file")),
    ("objects.npy y.npy -l mse", DATA, ("objects.npy holds object", "never loaded")),
    ("complex.npy y.npy -l mse", DATA, ("complex.npy holds complex128", "real part")),
    ("text.npy y.npy -l mse", DATA, ("text.npy holds <U1",)),
    ("scalar.npy y.npy -l mse", DATA, ("scalar.npy", "shape ()")),
    ("empty.npy empty.npy -l mse", DATA, ("empty.npy has no rows",)),
    ("no_columns.npy no_columns.npy -l mse", DATA, ("no_columns.npy has no values", "(3, 0)")),
    ("empty.csv y.npy -l mse", DATA, ("empty.csv is empty (0 bytes)",)),
    ("header_only.csv --pred-col p --target-col y -l mse", DATA, ("header_only.csv has no rows",)),
]

SHAPES: list[Case] = [
    (
        "p.npy y4.npy -l bce",
        DATA,
        ("p.npy has 3 rows (shape (3,), float64)", "y4.npy has 4 rows (shape (4,), int64)", "header row"),
    ),
    ("p.npy y6.npy -l bce", DATA, ("2 times as many rows", "flattened")),
    ("p.npy long.csv -l bce", DATA, ("p.npy has 3 rows", "long.csv has 4 rows")),
    ("long.csv y.npy -l bce", DATA, ("long.csv has 4 rows", "y.npy has 3 rows")),
    ("pair.npy y.npy -l bce", DATA, ("pair.npy (3, 2) float64", "y.npy (3,) int64", "nothing is broadcast")),
    ("p.npy y_wide.npy -l bce", DATA, ("p.npy (3,) float64", "y_wide.npy (3, 2) int64", "nothing is broadcast")),
    ("classes.npy onehot.npy -l scce", DATA, ("classes.npy (3, 3) float64", "onehot.npy (3, 3) float64", "use cce")),
    ("classes.npy index.npy -l cce", DATA, ("index.npy (3,) int64", "use scce")),
    ("classes.npy index.npy -l brier_multiclass", DATA, ("index.npy (3,) int64", "labels=index")),
    ("classes.npy index.npy -l nll", DATA, ("prediction", "log-probability", "look like probabilities")),
    ("p.npy y.npy -l cce", DATA, ("p.npy (3,) float64", "use bce")),
    ("p.npy y.npy -l scce", DATA, ("p.npy (3,) float64", "use bce")),
    ("cube.npy index.npy -l scce", DATA, ("cube.npy (3, 2, 2)", "index.npy (3,)", "one for each place")),
    ("p.npy y.npy -l cosine_similarity", DATA, ("p.npy (3,) float64", "cosine_global")),
    ("cube.npy pair.npy -l mse", DATA, ("cube.npy (3, 2, 2) float64", "pair.npy (3, 2) float64")),
]

SPECS: list[Case] = [
    ("p.npy y.npy", USAGE, ("no loss", "--loss bce")),
    ("p.npy -l mse", USAGE, ("no targets for p.npy", "--target-col")),
    ("p.npy y.npy -l bcee", USAGE, ("unknown loss 'bcee'", "did you mean bce?", "lossctl list")),
    ("p.npy y.npy -l mse -l Huber_Los", USAGE, ("unknown loss 'Huber_Los'", "did you mean")),
    ("p.npy y.npy -l bce,mse", USAGE, ("unknown loss 'bce,mse'", "give each loss a --loss of its own")),
    ("p.npy y.npy -l huber:dleta=2", USAGE, ("huber has no option 'dleta'", "did you mean delta?")),
    ("p.npy y.npy -l huber:delta=0", USAGE, ("delta must be > 0, found 0",)),
    ("p.npy y.npy -l huber:delta=-1", USAGE, ("delta must be > 0, found -1",)),
    ("p.npy y.npy -l huber:delta=nan", USAGE, ("delta must be finite",)),
    ("p.npy y.npy -l huber:delta=1e999", USAGE, ("delta must be finite",)),
    ("p.npy y.npy -l huber:delta=two", USAGE, ("delta must be a number, found 'two'",)),
    ("p.npy y.npy -l huber:delta", USAGE, ("'delta' is not option=value", "huber:delta=2")),
    ("p.npy y.npy -l huber:delta=", USAGE, ("not option=value",)),
    ("p.npy y.npy -l bce:", USAGE, ("not option=value",)),
    ("p.npy y.npy -l :delta=2", USAGE, ("has no name",)),
    ("p.npy y.npy -l huber:delta=1,delta=2", USAGE, ("delta is given twice",)),
    ("p.npy y.npy -l bce:eps=0.7", USAGE, ("eps must be >= 0 and < 0.5", "found 0.7")),
    ("p.npy y.npy -l bce:eps_mode=clip", USAGE, ("eps_mode=clip without eps",)),
    ("p.npy y.npy -l bce:label_smoothing=2", USAGE, ("label_smoothing must be >= 0 and <= 1, found 2",)),
    ("p.npy y.npy -l bce:pos_weight=0", USAGE, ("pos_weight must be > 0",)),
    ("p.npy y.npy -l bce:input=prop", USAGE, ("did you mean prob?", "prob, logit")),
    ("p.npy y.npy -l mse:row=max", USAGE, ("row cannot be 'max'", "mean, sum")),
    ("p.npy y.npy -l cosine_global:sign=2", USAGE, ("sign must be one of -1, 1, found 2",)),
    ("classes.npy index.npy -l scce:ignore_index=1.5", USAGE, ("ignore_index must be a whole number, found '1.5'",)),
    ("classes.npy index.npy -l scce:class_weight=1|2", USAGE, ("2 weights for 3 classes",)),
    ("classes.npy index.npy -l scce:class_weight=1||2", USAGE, ("class_weight must be a number, found ''",)),
    ("classes.npy index.npy -l scce:class_weight=1|-2|3", USAGE, ("class_weight", "not negative")),
    ("classes.npy index.npy -l scce:class_weight=0|0|0", USAGE, ("class_weight", "not all 0")),
    ("classes.npy index.npy -l scce --class-weights w_short.npy", DATA, ("w_short.npy has 2 weights for 3 classes",)),
    (
        "classes.npy index.npy -l scce --class-weights w_negative.npy",
        DATA,
        ("w_negative.npy", "finite number from 0 up"),
    ),
    ("classes.npy index.npy -l scce --class-weights empty.npy", DATA, ("empty.npy", "there are no weights of classes")),
    ("classes.npy index.npy -l scce --class-weights w_zero.npy", DATA, ("w_zero.npy", "all weights of classes are 0")),
    ("classes.npy index.npy -l scce --class-weights w_nan.npy", DATA, ("w_nan.npy", "class 1 is nan")),
]

FLAGS: list[Case] = [
    ("p.npy y.npy -l bce:input=prob --from-logits", USAGE, ("input=prob", "input=logit", "leave out one of them")),
    ("logits.npy y.npy -l bce:eps=1e-7 --from-logits", USAGE, ("eps guards probabilities", "input=logit")),
    ("logits.npy y.npy -l bce:input=logit,eps=1e-7", USAGE, ("eps guards probabilities",)),
    ("p.npy y.npy -l bce:preset=keras --preset torch", USAGE, ("preset=keras", "preset=torch")),
    ("p.npy y.npy -l bce:log_base=2 --log-base 10", USAGE, ("log_base=2", "log_base=10")),
    ("p.npy y.npy -l cosine_global --log-base 2", USAGE, ("cosine_global has no option 'log_base'",)),
    ("p.npy y.npy -l mae --preset jax", USAGE, ("preset cannot be 'jax'", "keras, torch, optax, sklearn")),
    ("p.npy y.npy -l mse --from-logits", USAGE, ("mse has no option 'input'", "bce:input=logit")),
    ("p.npy y.npy -l mse --log-base 2", USAGE, ("mse has no option 'log_base'",)),
    ("p.npy y.npy -l mse --ignore-index 1", USAGE, ("mse has no option 'ignore_index'",)),
    ("p.npy y.npy -l bce --class-weights w.npy", USAGE, ("bce has no option 'class_weight'",)),
    ("p.npy y.npy -l bce --log-base 3", USAGE, ("log_base cannot be '3'", "e, 2, 10")),
    ("p.npy y.npy -l bce --denom all", USAGE, ("denom cannot be 'all'",)),
    ("p.npy y.npy -l rmse --reduction sum", USAGE, ("rmse is one number for all the data", "no sum")),
    ("p.npy y.npy -l rmse --per-sample x.npy", USAGE, ("rmse is one number for all the data", "no per-sample")),
    ("p.npy y.npy -l mse -l mae --grad x.npy", USAGE, ("gradient of one loss",)),
    ("p.npy y.npy -l mse -l mse --per-sample x.npy", USAGE, ("two columns", "'mse'", "give each loss once")),
    ("p.npy y.npy -l mse -l rmse --per-sample x.npy", USAGE, ("rmse is one number for all the data", "no per-sample")),
    ("p.npy y.npy -l mse --reduction max", USAGE, ("mean or sum", "max")),
    ("p.npy y.npy -l mse --backend gpu", USAGE, ("no backend 'gpu'", "auto, python, cpu, cuda")),
    ("p.npy y.npy -l mse --format xml", USAGE, ("no output format 'xml'", "table, json, csv, tsv, markdown")),
    ("p.npy y.npy -l mse --threads 0", USAGE, ("threads must be a whole number from 1 up, found 0",)),
    ("p.npy y.npy -l mse --threads -2", USAGE, ("threads must be a whole number from 1 up, found -2",)),
    ("p.npy y.npy -l mse --chunk-rows 0", USAGE, ("--chunk-rows must be 1 or more, found 0",)),
    ("p.npy y.npy -l mse --chunk-rows -5", USAGE, ("--chunk-rows must be 1 or more, found -5",)),
    ("p.npy y.npy -l mse --threads two", USAGE, ("--threads", "lossctl eval --help")),
    ("p.npy y.npy -l scce --ignore-index 1.5", USAGE, ("--ignore-index",)),
    ("p.npy y.npy -l mse --nope", USAGE, ("--nope", "lossctl eval --help")),
    ("p.npy y.npy -l", USAGE, ("-l",)),
    ("p.npy y.npy y.npy -l mse", USAGE, ("y.npy",)),
    ("-l mse", USAGE, ("PREDS",)),
]

VALUES: list[Case] = [
    (
        "logits.npy y.npy -l bce",
        DATA,
        ("logits.npy, row 0", "1.4 is outside [0, 1]", "3 of 3", "looks like logits: --from-logits"),
    ),
    ("percent.npy y.npy -l bce", DATA, ("percent.npy, row 0", "80 is outside [0, 1]", "percentages")),
    (
        "class_logits.npy index.npy -l scce",
        DATA,
        ("class_logits.npy, row 0, column 0", "2 is outside", "--from-logits"),
    ),
    ("classes.npy index.npy -l scce:input=log_prob", DATA, ("classes.npy, row 0, column 0", "0.7", "9 of 9")),
    ("p.npy y_signs.npy -l bce", DATA, ("y_signs.npy, row 1", "-1 is outside", "1 of 3", "map them to 0 and 1")),
    ("p.npy index.npy -l bce", DATA, ("index.npy, row 2", "class indices", "scce")),
    ("nan.npy y.npy -l bce", DATA, ("nan.npy, row 1", "nan", "1 of 3 predictions are not finite")),
    ("p.npy nan.npy -l mse", DATA, ("nan.npy, row 1", "nan", "1 of 3 targets are not finite")),
    ("infinite.npy y.npy -l mse", DATA, ("infinite.npy, row 2", "inf", "1 of 3")),
    ("nan.npy y.npy -l rmse", DATA, ("nan.npy, row 1", "1 of 3 predictions are not finite")),
    (
        "classes.npy index_from_1.npy -l scce",
        DATA,
        ("index_from_1.npy, row 2", "class index 3 is outside 0..2", "1 of 3", "subtract 1"),
    ),
    (
        "classes.npy index_minus_1.npy -l scce",
        DATA,
        ("index_minus_1.npy, row 1", "class index -1", "--ignore-index -1"),
    ),
    ("classes.npy index_minus_100.npy -l scce", DATA, ("class index -100", "--ignore-index -100")),
    ("classes.npy index_255.npy -l scce", DATA, ("class index 255", "--ignore-index 255")),
    ("classes.npy index_large.npy -l scce", DATA, ("row 0", "class index 9223372036854775813 is outside 0..2")),
    (
        "classes.npy index_half.npy -l scce",
        DATA,
        ("index_half.npy, row 1", "1.5 is not a class index", "whole numbers"),
    ),
    ("classes.npy nan.npy -l scce", DATA, ("nan.npy",)),
    ("rows_off.npy index.npy -l scce", DATA, ("rows_off.npy, row 0", "sums to 1.1, not 1", "1 of 3", "normalize=true")),
    ("classes.npy rows_off.npy -l cce", DATA, ("rows_off.npy, row 0", "target row sums to 1.1", "distribution")),
    ("minus_infinite.npy index.npy -l scce --from-logits", DATA, ("row 0", "minus infinity")),
    ("huge.npy zeros.npy -l mse", DATA, ("huge.npy", "row 0", "exceeds float64", "rescale")),
    ("large_integers.npy y.npy -l mse", DATA, ("large_integers.npy", "2**53", "9007199254740993")),
    (
        "p.npy y.npy -l bce --weights w_negative.npy",
        DATA,
        ("w_negative.npy, row 1", "-2", "not a finite number from 0 up"),
    ),
    ("p.npy y.npy -l bce --weights w_nan.npy", DATA, ("w_nan.npy, row 1", "nan")),
    ("p.npy y.npy -l bce --weights w_infinite.npy", DATA, ("w_infinite.npy, row 1", "inf")),
    ("p.npy y.npy -l bce --weights w_zero.npy", DATA, ("w_zero.npy", "0")),
    ("p.npy y.npy -l bce --weights w_huge.npy", DATA, ("sum of the weights exceeds float64",)),
    ("p.npy y.npy -l rmse --weights w_huge.npy", DATA, ("sum of the weights exceeds float64",)),
    (
        "p.npy y.npy -l bce --weights w_short.npy",
        DATA,
        ("p.npy has 3 rows", "w_short.npy has 2 rows", "its own weight"),
    ),
    ("p.npy y.npy -l bce --weights w_wide.npy", DATA, ("w_wide.npy (3, 3)", "one value a row")),
    ("classes.npy index_zeros.npy -l scce:ignore_index=0,empty=error", DATA, ("nothing is left to average",)),
]

COLUMNS: list[Case] = [
    ("table.csv --pred-col pp --target-col y -l bce", USAGE, ("no column 'pp'", "did you mean 'p'?", "id, p, y, w")),
    ("table.csv --pred-col 'x_*' --target-col y -l bce", USAGE, ("matches", "x_*", "id, p, y, w")),
    ("table.csv --pred-col p --target-col y --weight-col ww -l bce", USAGE, ("no column 'ww'", "--weight-col")),
    ("table.csv --pred-col p,,y --target-col y -l bce", USAGE, ("'p,,y' is not a list of columns",)),
    ("table.csv --pred-col p,p --target-col y -l bce", USAGE, ("'p' 2 times",)),
    ("table.csv --pred-col p -l bce", USAGE, ("no targets", "--target-col")),
    ("table.csv --target-col y -l bce", USAGE, ("4 columns", "--pred-col")),
    ("table.csv y.npy -l bce", USAGE, ("4 columns: id, p, y, w", "--pred-col")),
    ("p.npy y.npy -l bce --pred-col p", USAGE, ("without column names", "--pred-col")),
    ("p.npy y.npy -l bce --target-col y", USAGE, ("without column names", "--target-col")),
    ("p.npy y.npy -l bce --weight-col w", USAGE, ("without column names", "--weight-col")),
    ("no_header.csv y.npy -l bce", DATA, ("header required", "'0.8,1'")),
    ("short_row.csv --pred-col p --target-col y -l bce", DATA, ("short_row.csv, line 3", "1 cell;")),
    ("missing.csv --pred-col p --target-col y -l bce", DATA, ("missing.csv, line 3, column 'p'", "'NA'")),
    ("empty_cell.csv --pred-col p --target-col y -l bce", DATA, ("empty_cell.csv, line 3, column 'p'",)),
    ("nan.csv --pred-col p --target-col y -l bce", DATA, ("nan.csv, line 3, column 'p'",)),
    ("words.csv --pred-col p --target-col y -l bce", DATA, ("words.csv, line 2, column 'y'", "'yes'")),
    ("twins.csv y.npy -l bce", DATA, ("twins.csv", "2 columns are named 'p'")),
]

OUTPUTS: list[Case] = [
    ("p.npy y.npy -l bce -o absent/x.json", USAGE, ("absent/x.json", "no folder")),
    ("p.npy y.npy -l bce --per-sample absent/x.npy", USAGE, ("absent/x.npy", "no folder")),
    ("p.npy y.npy -l bce -o p.npy/x.json", USAGE, ("p.npy/x.json", "no folder")),
    ("p.npy y.npy -l bce -o x.foo", USAGE, ("'.foo'", ".json, .csv, .tsv, .md, .txt")),
    ("p.npy y.npy -l bce -o result", USAGE, ("no extension",)),
    ("p.npy y.npy -l bce --per-sample x.foo", USAGE, ("x.foo", ".npy, .csv, .tsv, .parquet")),
    ("p.npy y.npy -l bce --grad folder.npy", USAGE, ("folder.npy", "folder")),
    ("p.npy y.npy -l bce -o link.json", USAGE, ("'link.json' is the same file as the input 'p.npy'",)),
    ("p.npy y.npy -l bce -o hard.json", USAGE, ("'hard.json' is the same file as the input 'p.npy'",)),
    ("p.npy y.npy -l bce --grad p.npy", USAGE, ("'p.npy' is the same file as the input 'p.npy'",)),
    ("p.npy y.npy -l bce --grad ./y.npy", USAGE, ("'./y.npy' is the same file as the input 'y.npy'",)),
    ("p.npy y.npy -l bce --weights w.npy --grad w.npy", USAGE, ("same file as the input 'w.npy'",)),
    ("classes.npy index.npy -l scce --class-weights w.npy --grad w.npy", USAGE, ("same file as the input 'w.npy'",)),
    ("p.npy y.npy -l bce -o a.json -o ./a.json", USAGE, ("same file as the output 'a.json'",)),
    ("p.npy y.npy -l bce -o a.csv --per-sample a.csv", USAGE, ("same file as the output 'a.csv'",)),
    ("p.npy y.npy -l bce -o full.json", ENVIRONMENT, ("full.json", "disk full")),
    ("p.npy y.npy -l bce --per-sample full.csv", ENVIRONMENT, ("full.csv", "disk full")),
    ("p.npy y.npy -l bce --grad full.npy", USAGE, ("full.npy", "regular file")),
    ("cube.npy cube.npy -l mse --grad x.csv", USAGE, ("x.csv", "(rows, 2, 2)", ".npy")),
    ("logits.npy y.npy -l bce --per-sample x.npy --grad g.csv -o r.json", DATA, ("--from-logits",)),
]


def words(line: str) -> list[str]:
    return [word.strip("'") for word in line.split()]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("line", "code", "says"),
    [*FILES, *SHAPES, *SPECS, *FLAGS, *VALUES, *COLUMNS, *OUTPUTS],
    ids=lambda part: str(part)[:60],
)
def test_eval(line: str, code: int, says: tuple[str, ...]) -> None:
    message = refused(code, "eval", *words(line))
    for part in says:
        assert part in message


EMPTY_NAMES = [
    ("", "y.npy", "-l", "mse"),
    ("p.npy", "", "-l", "mse"),
    ("table.csv", "", "--pred-col", "p", "--target-col", "y", "-l", "mse"),
    ("p.npy", "y.npy", "-l", "mse", "--weights", ""),
    ("classes.npy", "index.npy", "-l", "scce", "--class-weights", ""),
    ("p.npy", "y.npy", "-l", "mse", "--per-sample", ""),
    ("p.npy", "y.npy", "-l", "mse", "--grad", ""),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("arguments", EMPTY_NAMES, ids=repr)
def test_a_file_without_a_name_is_not_taken_for_no_file(arguments: tuple[str, ...]) -> None:
    assert "empty name" in refused(USAGE, "eval", *arguments)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "options",
    [("--pred-col", ""), ("--format", ""), ("--backend", ""), ("--preset", ""), ("-l", ""), ("-o", "")],
    ids=repr,
)
def test_an_empty_option_is_not_taken_for_none(options: tuple[str, str]) -> None:
    refused(USAGE, "eval", "p.npy", "y.npy", "-l", "bce", *options)


HOSTILE = ["\x1b[31mred", "a\nb", "::error::x\r\n", "\u202egnp", "\x00", "x" * 100_000, "\udcff"]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_what_the_user_wrote_cannot_speak_to_the_terminal(text: str) -> None:
    for arguments in (
        ("eval", f"{text}.npy", "y.npy", "-l", "mse"),
        ("eval", "p.npy", "y.npy", "-l", text),
        ("eval", "p.npy", "y.npy", "-l", f"huber:{text}=1"),
        ("eval", "p.npy", "y.npy", "-l", f"huber:delta={text}"),
        ("eval", "table.csv", "-l", "mse", "--pred-col", text, "--target-col", "y"),
        ("eval", "p.npy", "y.npy", "-l", "mse", "--format", text),
        ("eval", "p.npy", "y.npy", "-l", "mse", "--backend", text),
        ("eval", "p.npy", "y.npy", "-l", "mse", "--threads", text),
        ("eval", "p.npy", "y.npy", "-l", "mse", "--reduction", text),
        ("eval", "p.npy", "y.npy", "-l", "mse", "-o", f"{text}.json/x.json"),
        ("eval", "p.npy", "y.npy", "-l", "mse", "-o", f"x.{text}"),
        ("explain", text),
        (text,),
    ):
        outcome = call(*arguments)
        assert outcome.code in {USAGE, DATA}
        assert outcome.out == ""
        assert outcome.err[:-1].isprintable()
        assert len(outcome.err) < 3000


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THREADS", "abc"),
        ("FORMAT", "xml"),
        ("REDUCTION", "max"),
        ("BACKEND", "gpu"),
        ("QUIET", "maybe"),
        ("CHUNK_ROWS", "0"),
        ("PRESET", "jax"),
        ("LOG_BASE", "7"),
        ("FROM_LOGITS", "x"),
        ("IGNORE_INDEX", "1.5"),
    ],
)
def test_a_wrong_environment_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"LOSSCTL_{name}", value)
    refused(USAGE, "eval", "p.npy", "y.npy", "-l", "bce")


OTHER_COMMANDS: list[Case] = [
    ("evl", USAGE, ("no command 'evl'; did you mean eval? see `lossctl --help`",)),
    ("--nope", USAGE, ("--nope",)),
    ("grad p.npy y.npy -l mse", USAGE, ("none is named", "-o gradient.npy")),
    ("grad p.npy y.npy -o g.npy", USAGE, ("one loss, found 0",)),
    ("grad p.npy y.npy -l mse -l mae -o g.npy", USAGE, ("one loss, found 2",)),
    ("grad p.npy y.npy -l mse -o g.json", USAGE, ("g.json", ".npy, .csv, .tsv, .parquet")),
    ("grad p.npy y.npy -l mse -o p.npy", USAGE, ("same file as the input",)),
    ("grad logits.npy y.npy -l bce -o g.npy", DATA, ("--from-logits",)),
    ("grad p.npy y.npy -l mse:grad_scale=half -o g.npy", USAGE, ("grad_scale cannot be 'half'",)),
    ("grad p.npy y.npy -l bce:grad_wrt=logit,eps=0.1 -o g.npy", USAGE, ("grad_wrt=logit",)),
    ("list x", USAGE, ("x", "lossctl list --help")),
    ("list --format csv", USAGE, ("'csv'", "table, tsv and json")),
    ("explain", USAGE, ("NAME", "lossctl explain --help")),
    ("explain hubert", USAGE, ("unknown loss 'hubert'", "did you mean huber?")),
    ("doctor --format xml", USAGE, ("'xml'", "table, tsv and json")),
    ("warmup", USAGE, ("--loss SPEC or --all",)),
    ("warmup --all -l mse", USAGE, ("--loss SPEC or --all",)),
    ("warmup -l nope", USAGE, ("unknown loss 'nope'",)),
    ("warmup -l huber:delta=0", USAGE, ("delta must be > 0",)),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("line", "code", "says"), OTHER_COMMANDS, ids=lambda part: str(part)[:60])
def test_other_commands(line: str, code: int, says: tuple[str, ...]) -> None:
    message = refused(code, *words(line))
    for part in says:
        assert part in message


@pytest.mark.usefixtures("files")
def test_an_old_file_survives_a_run_that_fails(tmp_path: Path) -> None:
    kept = tmp_path / "kept.npy"
    kept.write_bytes(b"old")
    refused(DATA, "eval", "logits.npy", "y.npy", "-l", "bce", "--per-sample", kept)
    refused(DATA, "grad", "logits.npy", "y.npy", "-l", "bce", "-o", kept)
    assert kept.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npy"]


@pytest.mark.usefixtures("files")
def test_an_internal_fault_is_one_line_and_says_where_to_report_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("lossctl.rows.inputs.open_feed", fail)
    message = refused(70, "eval", "p.npy", "y.npy", "-l", "mse")
    assert "ZeroDivisionError" in message
    assert "report" in message
    told = call("eval", "p.npy", "y.npy", "-l", "mse", "--debug")
    assert told.code == 70
    assert "Traceback" in told.err


@pytest.mark.usefixtures("files")
def test_running_out_of_memory_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("lossctl.rows.inputs.open_feed", fail)
    assert "--chunk-rows" in refused(ENVIRONMENT, "eval", "p.npy", "y.npy", "-l", "mse")
