"""scripts/folder-matrix.py finds a cycle between folders, and only a real one."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def matrix(tmp_path, files, *options):
    """Runs the script over a tree of `folder/file.swift` -> text."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/folder-matrix.py"), *options, str(tmp_path)], capture_output=True, text=True)


LOW = "struct Low { static let size = 1 }\n"


def test_core_has_no_cycle():
    run = subprocess.run(
        [sys.executable, str(ROOT / "scripts/folder-matrix.py"), "Sources/Core"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert "Families" in run.stdout


def test_a_use_in_one_direction_is_no_cycle(tmp_path):
    run = matrix(tmp_path, {"Base/Low.swift": LOW, "Upper/High.swift": "struct High { let low: Low }\n"})
    assert (run.returncode, run.stderr) == (0, "")
    assert [line.split() for line in run.stdout.splitlines()[3:5]] == [["Base", ".", ".", "1"], ["Upper", "1", ".", "2"]]


def test_types_of_two_folders_that_use_each_other_are_a_cycle(tmp_path):
    files = {"Base/Low.swift": "struct Low { var high: High? }\n", "Upper/High.swift": "final class High { let low: Low }\n"}
    run = matrix(tmp_path, files)
    assert run.returncode == 1
    assert f"Cycle in {tmp_path}: Base, Upper" in run.stderr
    assert "Base uses High of Upper" in run.stderr
    assert matrix(tmp_path, {}, "--show").returncode == 0


def test_a_cycle_over_three_folders_is_found(tmp_path):
    files = {
        "A/A.swift": "enum A { case b(B) }\n",
        "B/B.swift": "protocol B { var c: C { get } }\n",
        "C/C.swift": "typealias C = [A]\n",
    }
    run = matrix(tmp_path, files)
    assert run.returncode == 1
    assert "A, B, C" in run.stderr


def test_members_that_another_folder_adds_count(tmp_path):
    low = LOW + "func use() -> Int { Low.doubled }\n"
    run = matrix(tmp_path, {"Base/Low.swift": low, "Upper/More.swift": "extension Low { static let doubled = 2 }\n"})
    assert run.returncode == 1
    assert "Base uses Low.doubled of Upper" in run.stderr


def test_members_without_their_type_count_where_one_folder_declares_the_name(tmp_path):
    low = LOW + "func use(_ low: Low) -> Int { low.tripled }\n"
    upper = "extension Low { var tripled: Int { 3 } }\n"
    run = matrix(tmp_path, {"Base/Low.swift": low, "Upper/More.swift": upper})
    assert run.returncode == 1
    assert "Base uses .tripled of Upper" in run.stderr
    # Two folders have the name: nobody knows which is meant.
    run = matrix(tmp_path, {"Third/Other.swift": "struct Other { let tripled = 3 }\n"})
    assert run.returncode == 0


def test_comments_strings_and_local_names_do_not_count(tmp_path):
    low = '''
// High is above.
/* High /* nested High */ High */
struct Low {
  let text = "High \\(1 + 1) High"
  let raw = #"High \\(High) "High" "#
  let long = """
    High says "High"
    """
  let other: Other.High
}
extension Dictionary where Value == Never {}
'''
    box = "struct Box<High: Sendable> { let value: High }\nfunc open<Value>(_ value: Value) -> Box<Value> { Box(value: value) }\n"
    high = "struct High { let low: Low }\nstruct Value {}\n"
    files = {"Base/Low.swift": low, "Base/Box.swift": box, "Upper/High.swift": high}
    run = matrix(tmp_path, files)
    assert (run.returncode, run.stderr) == (0, "")


def test_code_in_interpolations_counts(tmp_path):
    low = 'struct Low { let text = "is \\(High.name(")")) high" }\n'
    run = matrix(tmp_path, {"Base/Low.swift": low, "Upper/High.swift": "struct High { let low: Low }\n"})
    assert run.returncode == 1
    low = 'struct Low { let text = #"is \\#(High()) high"# }\n'
    assert matrix(tmp_path, {"Base/Low.swift": low}).returncode == 1


def test_private_and_nested_types_of_the_same_name_do_not_count(tmp_path):
    low = "private struct High {}\nstruct Low { struct Top {}; let top: Top }\n"
    files = {"Base/Low.swift": low, "Upper/High.swift": "struct High { let low: Low }\nstruct Top {}\n"}
    assert matrix(tmp_path, files).returncode == 0
    # Nested in a type that is declared in another file of the folder.
    files = {"Base/Low.swift": "struct Low { struct Top {} }\n", "Base/More.swift": "extension Low { func top() -> Top { Top() } }\n"}
    assert matrix(tmp_path, files).returncode == 0


def test_files_beside_the_folders_are_a_folder(tmp_path):
    run = matrix(tmp_path, {"Base/Low.swift": "struct Low { var top: Top? }\n", "Top.swift": "struct Top { let low: Low }\n"})
    assert run.returncode == 1
    assert "(top), Base" in run.stderr


def test_why_names_the_files(tmp_path):
    files = {"Base/Low.swift": LOW, "Upper/Inner/High.swift": "struct High { let low: Low; let size = Low.size }\n"}
    run = matrix(tmp_path, files, "--why", "Upper", "Base")
    path = tmp_path / "Upper/Inner/High.swift"
    assert run.stdout.splitlines() == [f"Low: {path}", f"Low.size: {path}"]
