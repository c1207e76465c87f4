"""Builds the packages of all languages in dist/, and takes a payment with each. Run by make.

Arguments: names of packages, such as `python go`; default: all. Nothing is published.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION: str = PROJECT["project"]["version"]
REPOSITORY: str = PROJECT["tool"]["till"]["repository"]
CLIENT = "lightning-till-client"
# Links within the repository; a registry shows a README without it.
LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)#\s]*)(#[^)\s]*)?\)")
PAYMENT_REQUEST = re.compile(r"^(lnbcrt\w+)$", re.MULTILINE)
PATIENCE_SECONDS = 600


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a program, which must succeed, with more environment variables. Return its output."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    done = subprocess.run(
        ["env", *settings, *command], cwd=cwd, stdout=PIPE, stderr=STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed in {cwd}:\n{done.stdout}")
    return done.stdout


def exported(directory: Path) -> Path:
    """Copy all tracked files. In the READMEs, links to other files lead to the repository of this version."""
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Links within the repository become what they lead to.
        copy = shutil.copy2 if (ROOT / name).is_file() else shutil.copytree
        copy(ROOT / name, target)
    for readme in [directory / "README.md", *directory.glob("clients/*/README.md")]:
        readme.write_text(standalone(readme.read_text(), readme.parent.relative_to(directory)))
    return directory


def standalone(text: str, folder: Path) -> str:
    """Return the text of a README in a folder, with links to the repository."""

    def absolute(link: re.Match[str]) -> str:
        words, path, anchor = link.groups()
        inside = (ROOT / folder / path).resolve().relative_to(ROOT)
        return f"[{words}]({REPOSITORY}/blob/v{VERSION}/{inside}{anchor or ''})"

    return LINK.sub(absolute, text)


# Python


def build_python(source: Path) -> None:
    """Write wheels and source packages of the server and the client."""
    for directory in (source, source / "clients/python"):
        run(sys.executable, "-m", "build", "--outdir", DIST, cwd=directory)
    run(sys.executable, "-m", "twine", "check", "--strict", *DIST.glob("lightning_till*"), cwd=DIST)


def use_python(project: Path) -> list[str]:
    """Install the client's source package, and return the command of its example."""
    venv.create(project / "venv", with_pip=True)
    [archive] = DIST.glob("lightning_till_client-*.tar.gz")
    run(project / "venv/bin/pip", "install", "--quiet", archive, cwd=project)
    example(project, "python/examples/first_invoice.py", "first_invoice.py")
    return ["venv/bin/python", "first_invoice.py"]


# TypeScript and JavaScript


def build_typescript(source: Path) -> None:
    """Write the npm package."""
    directory = source / "clients/typescript"
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=directory)
    run("npm", "pack", "--pack-destination", DIST, cwd=directory)


def use_typescript(project: Path) -> list[str]:
    """Install the npm package, compile its example, and return the example's command."""
    (project / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    packages = [*map(str, DIST.glob("*.tgz")), "@connectrpc/connect-node", "typescript", "@types/node"]
    run("npm", "install", "--no-audit", "--no-fund", *packages, cwd=project)
    example(project, "typescript/examples/first_invoice.ts", "first_invoice.ts")
    run(
        "npx",
        "tsc",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--types",
        "node",
        "--strict",
        "first_invoice.ts",
        cwd=project,
    )
    return ["node", "first_invoice.js"]


# Rust


def build_rust(source: Path) -> None:
    """Write the crate."""
    target = {"CARGO_TARGET_DIR": str(ROOT / "clients/rust/target")}
    run("cargo", "package", "--no-verify", "--allow-dirty", "--quiet", cwd=source / "clients/rust", **target)
    shutil.copy2(ROOT / f"clients/rust/target/package/{CLIENT}-{VERSION}.crate", DIST)


def use_rust(project: Path) -> list[str]:
    """Build the example against the crate, and return its command."""
    run("tar", "-xf", DIST / f"{CLIENT}-{VERSION}.crate", cwd=project)
    (project / "Cargo.toml").write_text(f"""\
[package]
name = "first-invoice"
edition = "2024"

[dependencies]
{CLIENT} = {{ path = "{CLIENT}-{VERSION}" }}
tokio = {{ version = "1", features = ["macros", "rt"] }}
""")
    (project / "src").mkdir()
    example(project, "rust/examples/first_invoice.rs", "src/main.rs")
    target = ROOT / "clients/rust/target"
    run("cargo", "build", "--quiet", cwd=project, CARGO_TARGET_DIR=str(target))
    return [str(target / "debug/first-invoice")]


# Java


def build_java(source: Path) -> None:
    """Write a Maven repository with the jar, its sources and its Javadoc."""
    repository = f"-DaltDeploymentRepository=dist::file://{DIST}/maven"
    run("mvn", "-q", "-B", "-DskipTests", "-Prelease", repository, "deploy", cwd=source / "clients/java")


def use_java(project: Path) -> list[str]:
    """Build the example against the Maven repository, and return its command."""
    pom = (ROOT / "clients/java/pom.xml").read_text()
    group = re.sub(r".*?<groupId>(.*?)</groupId>.*", r"\1", pom, count=1, flags=re.DOTALL)
    (project / "pom.xml").write_text(f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId><artifactId>first-invoice</artifactId><version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <repositories><repository><id>dist</id><url>file://{DIST}/maven</url></repository></repositories>
  <dependencies><dependency>
    <groupId>{group}</groupId><artifactId>{CLIENT}</artifactId><version>{VERSION}</version>
  </dependency></dependencies>
</project>
""")
    (project / "src/main/java").mkdir(parents=True)
    example(project, "java/examples/FirstInvoice.java", "src/main/java/FirstInvoice.java")
    run(
        "mvn",
        "-q",
        "-B",
        "-U",
        "compile",
        "dependency:build-classpath",
        "-Dmdep.outputFile=classpath",
        cwd=project,
    )
    return ["java", "-cp", f"target/classes:{(project / 'classpath').read_text()}", "FirstInvoice"]


# Go


def build_go(source: Path) -> None:
    """Write the files that a module proxy serves."""
    directory = source / "clients/go"
    module = go_module()
    proxy = DIST / "go" / module / "@v"
    proxy.mkdir(parents=True)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    (proxy / "list").write_text(f"v{VERSION}\n")
    (proxy / f"v{VERSION}.info").write_text(json.dumps({"Version": f"v{VERSION}", "Time": stamp}))
    shutil.copy2(directory / "go.mod", proxy / f"v{VERSION}.mod")
    nested = {each.parent for each in directory.rglob("go.mod")} - {directory}
    with zipfile.ZipFile(proxy / f"v{VERSION}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(directory.rglob("*")):
            if file.is_file() and not nested.intersection(file.parents):
                archive.write(file, f"{module}@v{VERSION}/{file.relative_to(directory)}")


def use_go(project: Path) -> list[str]:
    """Build the example against the module, and return its command."""
    (project / "go.mod").write_text("module first-invoice\n")
    example(project, "go/examples/first_invoice/main.go", "main.go")
    # The module comes from dist/, its dependencies from the usual proxy. No checksum database has it.
    usual = run("go", "env", "GOPROXY", cwd=project).strip()
    settings = {
        "GOPROXY": f"file://{DIST}/go,{usual}",
        "GONOSUMDB": go_module(),
        # A module cache of its own, since this version may have been built before.
        "GOMODCACHE": str(project / "modules"),
        "GOFLAGS": "-modcacherw",
    }
    run("go", "get", f"{go_module()}@v{VERSION}", cwd=project, **settings)
    run("go", "mod", "tidy", cwd=project, **settings)
    run("go", "build", "-o", "first-invoice", ".", cwd=project, **settings)
    return ["./first-invoice"]


def go_module() -> str:
    """Return the path of the Go module."""
    return (ROOT / "clients/go/go.mod").read_text().splitlines()[0].removeprefix("module ")


def example(project: Path, source: str, target: str) -> None:
    """Copy an example of a client into a project."""
    shutil.copy2(ROOT / "clients" / source, project / target)


@dataclass(frozen=True)
class Package:
    """A package: the commands that it needs, how it is built, and how an empty project uses it."""

    needs: tuple[str, ...]
    build: Callable[[Path], None]
    use: Callable[[Path], list[str]]


PACKAGES = {
    "python": Package((), build_python, use_python),
    "typescript": Package(("node", "npm"), build_typescript, use_typescript),
    "rust": Package(("cargo",), build_rust, use_rust),
    "java": Package(("java", "mvn"), build_java, use_java),
    "go": Package(("go",), build_go, use_go),
}


@contextmanager
def till(directory: Path) -> Iterator[tuple[str, Path]]:
    """Run a Till with play money from the wheels of dist/; yield its gRPC address and its directory."""
    venv.create(directory / "venv", with_pip=True)
    wheels = DIST.glob("lightning_till*.whl")
    run(directory / "venv/bin/pip", "install", "--quiet", *wheels, cwd=directory)
    command = ["venv/bin/tilld", "run", "--grpc=127.0.0.1:0", "--rest=127.0.0.1:0"]
    with subprocess.Popen(command, cwd=directory, stdout=PIPE, stderr=STDOUT, text=True) as process:
        try:
            for line in process.stdout or ():
                if found := re.search(r"gRPC\s+(127\.0\.0\.1:\d+)", line):
                    yield found[1], directory
                    return
            sys.exit("tilld did not start")
        finally:
            process.terminate()


def pay(command: list[str], project: Path, address: str, directory: Path) -> None:
    """Run an example, pay the payment request that it prints, and wait until it reports the payment."""
    with subprocess.Popen([*command, address], cwd=project, stdout=PIPE, stderr=STDOUT, text=True) as process:
        printed = ""
        for line in process.stdout or ():
            printed += line
            if found := PAYMENT_REQUEST.search(line):
                run(directory / "venv/bin/tilld", "node", "pay", found[1], cwd=directory)
        if process.wait(PATIENCE_SECONDS) or "paid" not in printed.lower():
            sys.exit(f"{command[0]} has not reported the payment:\n{printed}")


def main(names: list[str]) -> None:
    """Build the packages, then use each."""
    # The wheels of Python run the Till that takes the payments.
    wanted = [name for name in PACKAGES if not names or name in names or name == "python"]
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with tempfile.TemporaryDirectory(prefix="till-dist-") as temporary:
        source = exported(Path(temporary) / "source")
        for name in wanted:
            if missing := [command for command in PACKAGES[name].needs if not shutil.which(command)]:
                sys.exit(f"{name} needs {', '.join(missing)}; install it, or name the packages to build")
            print(f"building {name}", flush=True)
            PACKAGES[name].build(source)
        server = Path(temporary) / "till"
        server.mkdir()
        with till(server) as (address, directory):
            for name in wanted:
                project = Path(temporary) / name
                project.mkdir()
                started = time.monotonic()
                target = f"http://{address}" if name == "typescript" else address
                pay(PACKAGES[name].use(project), project, target, directory)
                took = time.monotonic() - started
                print(f"{name}: installed in an empty project, took a payment ({took:.0f} s)", flush=True)
    for file in sorted(each for each in DIST.rglob("*") if each.is_file()):
        print(f"{file.stat().st_size:>10,} {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
