package vskd.app

import android.app.Activity
import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.Service
import android.content.Context
import android.content.Intent
import android.content.pm.ServiceInfo
import android.os.Build

/** Every call that is newer than Android 6, so that the rest can be checked against its classes. */
internal object Newer {
    private const val CHANNEL = "wrist"

    /** Start the service, which shows its notification at once. */
    fun startService(context: Context, intent: Intent) {
        context.startForegroundService(intent)
    }

    /** A notification in the app's one channel, which is made where it is not there. */
    fun notification(context: Context): Notification.Builder {
        val channel = NotificationChannel(CHANNEL, context.getString(R.string.app_name), NotificationManager.IMPORTANCE_LOW)
        val manager = context.getSystemService(Context.NOTIFICATION_SERVICE) as NotificationManager
        manager.createNotificationChannel(channel)
        return Notification.Builder(context, CHANNEL)
    }

    fun startForeground(service: Service, id: Int, notification: Notification) {
        if (Build.VERSION.SDK_INT >= 34) {
            service.startForeground(id, notification, ServiceInfo.FOREGROUND_SERVICE_TYPE_HEALTH)
        } else {
            service.startForeground(id, notification)
        }
    }

    /** Without it the service runs all the same, and its notification is not shown. */
    fun askForNotifications(activity: Activity) {
        if (Build.VERSION.SDK_INT >= 33) activity.requestPermissions(arrayOf("android.permission.POST_NOTIFICATIONS"), 0)
    }
}
