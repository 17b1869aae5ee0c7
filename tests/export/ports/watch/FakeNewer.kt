/* Test: what Android 6 lacks, so that the rest of the app compiles against its classes. */
package vskd.app

import android.app.Activity
import android.app.Notification
import android.app.Service
import android.content.Context
import android.content.Intent

@Suppress("UNUSED_PARAMETER")
internal object Newer {
    fun startService(context: Context, intent: Intent) = Unit

    fun notification(context: Context): Notification.Builder = Notification.Builder(context)

    fun startForeground(service: Service, id: Int, notification: Notification) = Unit

    fun askForNotifications(activity: Activity) = Unit
}

internal object R {
    object string {
        const val app_name = 1
    }

    object drawable {
        const val icon = 2
    }
}
