"""An APK without Gradle: built, aligned and signed; its dex, turned back into classes, gives Python's answers.

Of Debian 12: aapt, zipalign, apksigner, android-framework-res, enjarify. Of Debian 11: ``libandroid-23-java`` and
``dalvik-exchange``, whose jars ``VSKD_ANDROID_JAR`` and ``VSKD_DX_JAR`` name. aapt's framework is that of Android 10,
so the manifest loses the service's type here, which is younger.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from export.ports.watch.android_newer import compile_app
from export.ports.watch.kotlin_jvm import HERE, compiled, standard_library
from vskd_export.ports.watch.project import MARK

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
TOOLS = ("java", "keytool", "aapt", "zipalign", "apksigner", "enjarify")

#: What the dex of Android 8 and the way back know: no ``invokedynamic``.
FLAGS = ("-jvm-target", "1.8", "-Xlambdas=class", "-Xsam-conversions=class", "-Xstring-concat=inline")


def run(*command: str | Path, cwd: Path) -> str:
    env = os.environ | {"PYTHON": "/usr/bin/python3"}  # Debian's, which has enjarify
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False, cwd=cwd, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def android() -> str:
    """The jar of Android's classes; skips where a tool is missing."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    missing += [name for name in ("VSKD_ANDROID_JAR", "VSKD_DX_JAR") if not os.environ.get(name)]
    if missing or not FRAMEWORK.exists():
        pytest.skip(f"no {', '.join(missing) or FRAMEWORK}: see the module's text")
    return os.environ["VSKD_ANDROID_JAR"]


@pytest.mark.slow
def test_a_signed_apk_holds_the_core_bit_by_bit(project: Path, android: str, tmp_path: Path) -> None:
    core, resources = tmp_path / "core", project / "core/src/main/resources"
    compiled(sorted((project / MARK).parent.glob("*.kt")), core, flags=FLAGS)
    package(project, tmp_path)
    app = compile_app(project, tmp_path, classpath=[core, android], flags=FLAGS)
    signed = sign(dex(core, app, tmp_path), resources, tmp_path)
    assert 500_000 < signed.stat().st_size < 5_000_000
    run("enjarify", signed, "-f", "-o", "back.jar", cwd=tmp_path)
    with zipfile.ZipFile(tmp_path / "back.jar") as back:
        ours = [name for name in back.namelist() if name.startswith("vskd/")]
        back.extractall(tmp_path / "back", ours)
    assert len(ours) == sum(len(list(folder.rglob("*.class"))) for folder in (core, app))
    compiled([HERE / "ProjectCheck.kt"], tmp_path / "check", classpath=str(core))
    places = [tmp_path / "back", tmp_path / "check", resources, standard_library()]
    found = run("java", "-cp", os.pathsep.join(map(str, places)), "ProjectCheckKt", "recordings", cwd=tmp_path)
    assert found.startswith("true "), found


def package(project: Path, folder: Path) -> None:
    """The APK but for its code, and the numbers of its resources as Java."""
    main = project / "app/src/main"
    manifest = (main / "AndroidManifest.xml").read_text(encoding="utf-8")
    younger = '\n            android:foregroundServiceType="health"'
    assert younger in manifest
    manifest = manifest.replace(younger, "").replace("<manifest ", '<manifest package="vskd.app" ')
    (folder / "AndroidManifest.xml").write_text(manifest, encoding="utf-8")
    (folder / "java").mkdir()
    run(
        "aapt", "package", "-f", "-m", "-J", "java", "-M", "AndroidManifest.xml", "-S", main / "res", "-I", FRAMEWORK,
        "--min-sdk-version", "26", "--target-sdk-version", "36", "--version-code", "1", "--version-name", "1.0",
        "-F", "unsigned.apk", cwd=folder,
    )  # fmt: skip


def dex(core: Path, app: Path, folder: Path) -> Path:
    """``classes.dex`` of core, app and Kotlin's own classes, without those for other versions of Java."""
    with zipfile.ZipFile(standard_library()) as library:
        library.extractall(folder / "library", [one for one in library.namelist() if one.startswith("kotlin/")])
    run(
        "java", "-cp", os.environ["VSKD_DX_JAR"], "com.android.dx.command.Main", "--dex", "--min-sdk-version=26",
        "--output=classes.dex", core, app, folder / "library", cwd=folder,
    )  # fmt: skip
    return folder / "classes.dex"


def sign(code: Path, resources: Path, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "unsigned.apk", "a", zipfile.ZIP_DEFLATED) as apk:
        apk.write(code, code.name)
        for path in sorted(resources.rglob("*.bin")):
            apk.write(path, path.relative_to(resources).as_posix())
    run("zipalign", "4", "unsigned.apk", "aligned.apk", cwd=folder)
    run("zipalign", "-c", "4", "aligned.apk", cwd=folder)
    key = ("-keystore", "key.jks", "-storepass", "of a test", "-alias", "test", "-dname", "CN=test")
    run("keytool", "-genkeypair", *key, "-keyalg", "RSA", "-keysize", "2048", cwd=folder)
    store = ("--ks", "key.jks", "--ks-pass", "pass:of a test", "--min-sdk-version", "26")
    run("apksigner", "sign", *store, "--out", "signed.apk", "aligned.apk", cwd=folder)
    told = run("apksigner", "verify", "--verbose", "--min-sdk-version", "26", "signed.apk", cwd=folder)
    assert "v2 scheme (APK Signature Scheme v2): true" in told
    return folder / "signed.apk"
