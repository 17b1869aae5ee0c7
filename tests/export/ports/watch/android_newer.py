"""Classes of Android with what version 6 lacks and ``Newer.kt`` calls: enough for a compiler, in front of the jar's.

``MEMBERS`` names each of them, so that they can be looked up in Android 16's stubs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from export.ports.watch.kotlin_jvm import compiled

#: (module of the stubs, class, member)
MEMBERS = (
    ("content", "Context", "startForegroundService"),
    ("app", "NotificationManager", "createNotificationChannel"),
    ("app", "NotificationManager", "IMPORTANCE_LOW"),
    ("app", "NotificationChannel", "__init__"),
    ("app", "Service", "startForeground"),
    ("content/pm", "ServiceInfo", "FOREGROUND_SERVICE_TYPE_HEALTH"),
)

SOURCES = {
    "android/app/NotificationChannel.java": """
        package android.app;
        public final class NotificationChannel {
            public NotificationChannel(String id, CharSequence name, int importance) {}
        }
    """,
    "android/app/NotificationManager.java": """
        package android.app;
        public class NotificationManager {
            public static final int IMPORTANCE_LOW = 2;
            public void createNotificationChannel(NotificationChannel channel) {}
        }
    """,
    "android/app/Notification.java": """
        package android.app;
        public class Notification {
            public static class Builder {
                public Builder(android.content.Context context, String channel) {}
                public Builder setSmallIcon(int icon) { return this; }
                public Builder setContentTitle(CharSequence text) { return this; }
                public Builder setContentText(CharSequence text) { return this; }
                public Builder setContentIntent(PendingIntent intent) { return this; }
                public Builder setOngoing(boolean ongoing) { return this; }
                public Notification build() { return null; }
            }
        }
    """,
    "android/app/Service.java": """
        package android.app;
        public abstract class Service extends android.content.ContextWrapper {
            public static final int START_STICKY = 1;
            public Service() { super(null); }
            public void onCreate() {}
            public int onStartCommand(android.content.Intent intent, int flags, int startId) { return 0; }
            public void onDestroy() {}
            public abstract android.os.IBinder onBind(android.content.Intent intent);
            public final void stopSelf() {}
            public final void startForeground(int id, Notification notification) {}
            public final void startForeground(int id, Notification notification, int type) {}
        }
    """,
    "android/content/Context.java": """
        package android.content;
        public abstract class Context {
            public static final String NOTIFICATION_SERVICE = "notification";
            public static final String SENSOR_SERVICE = "sensor";
            public static final String POWER_SERVICE = "power";
            public final String getString(int name) { return null; }
            public abstract Object getSystemService(String name);
            public abstract java.io.File getExternalFilesDir(String type);
            public abstract android.content.res.AssetManager getAssets();
            public ComponentName startForegroundService(Intent service) { return null; }
        }
    """,
    "android/content/pm/ServiceInfo.java": """
        package android.content.pm;
        public class ServiceInfo {
            public static final int FOREGROUND_SERVICE_TYPE_HEALTH = 256;
        }
    """,
    "vskd/app/R.java": """
        package vskd.app;
        public final class R {
            public static final class drawable { public static final int icon = 0x7f010000; }
            public static final class string { public static final int app_name = 0x7f020000; }
        }
    """,
}


def compile_app(project: Path, folder: Path, *, classpath: Sequence[str | Path], flags: Sequence[str] = ()) -> Path:
    """Compile a project's app to a folder of classes.

    Parameters
    ----------
    project : as ``vskd watch`` wrote it
    folder : to work in; a ``vskd/app/R.java`` below its ``java`` is kept
    classpath : the core's classes, and Android's
    flags : further ones of the Kotlin compiler
    """
    if not shutil.which("javac"):
        pytest.skip("no javac in PATH: install a JDK, 17 or later")
    for name, text in SOURCES.items():
        path = folder / "java" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")
    java, newer, app = sorted((folder / "java").rglob("*.java")), folder / "newer", project / "app/src"
    android = os.pathsep.join(map(str, classpath))
    command = ["javac", "--release", "8", "-Xlint:-options", "-cp", android, "-d", str(newer), *map(str, java)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sources = [*sorted((app / "main").rglob("*.kt")), *sorted((app / "plan").rglob("*.kt"))]
    compiled(sources, folder / "app", classpath=f"{newer}{os.pathsep}{android}", flags=flags)
    return folder / "app"
