"""What a record says of its making."""

import subprocess
from pathlib import Path

from generators.provenance import commit


def test_a_commit_is_marked_where_files_differ_that_no_build_writes(tmp_path: Path) -> None:
    assert commit(tmp_path) == ""

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        return subprocess.check_output(["git", "-C", str(tmp_path), *who, *arguments], text=True)

    git("init", "-q")
    assert commit(tmp_path) == ""
    for name in ("code.py", "site/index.html", "generators/site/code.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before")
    git("add", ".")
    git("commit", "-qm", "All")
    name = git("rev-parse", "--short", "HEAD").strip()
    assert commit(tmp_path) == name
    (tmp_path / "site/index.html").write_text("after")
    assert commit(tmp_path) == name
    (tmp_path / "generators/site/code.py").write_text("after")
    assert commit(tmp_path) == f"{name}+"
    git("checkout", "-q", "generators")
    (tmp_path / "code.py").write_text("after")
    assert commit(tmp_path) == f"{name}+"
