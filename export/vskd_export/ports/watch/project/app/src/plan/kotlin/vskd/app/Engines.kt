package vskd.app

import android.content.Context
import vskd.Engine
import vskd.openNetwork

/** The bundle's network in plain Kotlin. */
fun openEngine(@Suppress("UNUSED_PARAMETER") context: Context): Engine = openNetwork()
