plugins {
    id("com.android.application")
    kotlin("android")
}

val usesLiteRt = providers.gradleProperty("vskd.litert").get().toBoolean()

android {
    namespace = "vskd.app"
    compileSdk = 36

    defaultConfig {
        applicationId = providers.gradleProperty("vskd.applicationId").get()
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    sourceSets["main"].apply {
        kotlin.srcDir(if (usesLiteRt) "src/litert/kotlin" else "src/plan/kotlin")
        if (usesLiteRt) assets.srcDir("src/litert/assets")
    }

    androidResources {
        noCompress += "tflite"
    }
}

kotlin {
    jvmToolchain(17)
}

dependencies {
    implementation(project(":core"))
    // On 32-bit watches LiteRT 1.3.0 to 1.4.2, and 2 before 2.1.6, are broken.
    if (usesLiteRt) implementation("com.google.ai.edge.litert:litert:1.2.0")
}
