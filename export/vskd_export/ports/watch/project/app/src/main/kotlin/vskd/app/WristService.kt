package vskd.app

import android.app.Notification
import android.app.PendingIntent
import android.app.Service
import android.content.Context
import android.content.Intent
import android.hardware.Sensor
import android.hardware.SensorEvent
import android.hardware.SensorEventListener
import android.hardware.SensorManager
import android.os.Handler
import android.os.HandlerThread
import android.os.IBinder
import android.os.PowerManager
import android.os.SystemClock
import java.io.File
import kotlin.math.min
import vskd.AccelerationUnit
import vskd.About
import vskd.Classifier
import vskd.Clips
import vskd.Engine
import vskd.Enrolment
import vskd.Event
import vskd.Example
import vskd.NoExample
import vskd.NoProfile
import vskd.ProfileFile
import vskd.TimeUnit
import vskd.Wearer
import vskd.Wrist
import vskd.WrongUnit

/**
 * Reads the sensor while the screen is off, and decides.
 *
 * Samples come in batches, by the sensor's wake-up variant; where a watch has none, a partial wake lock keeps the
 * processor on. All of it runs on one thread of its own.
 */
class WristService : Service(), SensorEventListener {
    private lateinit var manager: SensorManager
    private lateinit var thread: HandlerThread
    private lateinit var handler: Handler
    private var classifier: Classifier? = null // of the thread, as all below
    private var engine: Engine? = null
    private var wearer: Wearer? = null
    private var performance: Performance? = null
    private var clip: Clips.Clip? = null
    private var arrivedMs = 0L
    private var wakeLock: PowerManager.WakeLock? = null

    override fun onBind(intent: Intent?): IBinder? = null

    override fun onCreate() {
        manager = getSystemService(Context.SENSOR_SERVICE) as SensorManager
        thread = HandlerThread("wrist").apply { start() }
        handler = Handler(thread.looper)
        handler.post { open() }
    }

    override fun onStartCommand(intent: Intent?, flags: Int, startId: Int): Int {
        Newer.startForeground(this, NOTIFICATION, notification())
        when (intent?.action) {
            STOP -> stopSelf()
            RECORD -> handler.post { record(intent.getStringExtra(LABEL)!!) }
            END -> handler.post { endClip() }
            ENROL -> handler.post { enrol(intent.getStringExtra(LABEL)!!) }
            REMOVE -> handler.post { change { it.remove(intent.getIntExtra(NUMBER, -1)) } }
        }
        return START_STICKY
    }

    override fun onDestroy() {
        manager.unregisterListener(this) // else the watch never sleeps
        handler.removeCallbacks(wait)
        handler.post { close() }
        thread.quitSafely()
    }

    override fun onSensorChanged(event: SensorEvent) {
        val classifier = classifier ?: return
        arrivedMs = SystemClock.elapsedRealtime()
        val (x, y, z) = event.values
        clip?.add(event.timestamp, x, y, z)
        try {
            performance?.let { perform(it, event.timestamp, x, y, z) }
            val events = classifier.push(event.timestamp, x, y, z)
            classifier.delivered(arrivedMs / 1e3)
            show(classifier, events)
        } catch (refused: WrongUnit) {
            stop("${refused.message}: is it another sensor?")
        }
    }

    override fun onAccuracyChanged(sensor: Sensor?, accuracy: Int) = Unit

    private fun open() {
        val type = if (Wrist.hasGravity) Sensor.TYPE_ACCELEROMETER else Sensor.TYPE_LINEAR_ACCELERATION
        val sensor = manager.getDefaultSensor(type, true) ?: manager.getDefaultSensor(type)
        if (sensor == null) {
            stop("this watch has no accelerometer of the kind that the model needs")
            return
        }
        if (!sensor.isWakeUpSensor) {
            val power = getSystemService(Context.POWER_SERVICE) as PowerManager
            wakeLock = power.newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "vskd:wrist").apply { acquire() }
        }
        val engine = openEngine(this).also { this.engine = it }
        try {
            wearer = if (Wrist.examples > 0) Wearer.open(profileFile(), Wrist, ProfileFile(About.SHA256, About.CONTRACT_SHA256)) else null
        } catch (refused: NoProfile) {
            stop("${profileFile().name}: ${refused.message}")
            return
        }
        classifier = Classifier(Wrist, engine, AccelerationUnit.M_S2, timeUnit = TimeUnit.NS, profile = wearer?.profile)
        tellExamples("")
        arrivedMs = SystemClock.elapsedRealtime()
        manager.registerListener(this, sensor, (1e6 / Wrist.rateHz).toInt(), (1e6 * batchS()).toInt(), handler)
        handler.postDelayed(wait, WAIT_MS)
        Live.change { it.copy(isRunning = true, title = "listening", detail = sensor.name) }
    }

    /** How long samples may be held back: never longer than silence takes to be told. */
    private fun batchS() = if (Wrist.noSignalAfterS > 0) min(BATCH_S, Wrist.batchS) else BATCH_S

    private val wait = object : Runnable {
        override fun run() {
            classifier?.let { show(it, it.silence((SystemClock.elapsedRealtime() - arrivedMs) / 1e3)) }
            handler.postDelayed(this, WAIT_MS)
        }
    }

    private fun show(classifier: Classifier, events: List<Event>) {
        val event = events.lastOrNull() ?: return
        val rate = classifier.health.recentRateHz?.let { "%.1f Hz".format(it) }
        val lines = events.map { "%.1f s  %s".format(it.endS, title(classifier, it)) }
        val detail = listOfNotNull(detail(event).ifEmpty { null }, rate).joinToString("; ")
        Live.change { it.copy(title = title(classifier, event), detail = detail, history = it.history + lines) }
    }

    private fun stop(problem: String) {
        Live.change { it.copy(title = "stopped", detail = problem) }
        stopSelf()
    }

    private fun record(label: String) {
        endClip()
        clip = clips(this).begin("wearer", label)
        Live.change { it.copy(recording = label) }
    }

    private fun endClip() {
        clip?.end()
        clip = null
        Live.change { it.copy(recording = null) }
    }

    /** Where `adb push` puts a profile of `vskd enroll`, and `adb pull` finds this watch's. */
    private fun profileFile() = File(getExternalFilesDir(null), "wearer.profile")

    /** What is performed from a sensor's time on, until so long after. */
    private class Performance(val label: String, val enrolment: Enrolment, val beginNs: Long)

    private fun enrol(label: String) {
        val engine = engine ?: return
        val beginNs = SystemClock.elapsedRealtimeNanos() + COUNTDOWN_NS
        performance = Performance(label, Enrolment(Wrist, engine, AccelerationUnit.M_S2, timeUnit = TimeUnit.NS), beginNs)
        val text = "Get ready: in ${COUNTDOWN_NS / SECOND_NS} s perform $label, for ${PERFORMANCE_NS / SECOND_NS} s"
        Live.change { it.copy(enrolment = text, isEnrolling = true) }
    }

    private fun perform(one: Performance, timeNs: Long, x: Float, y: Float, z: Float) {
        if (timeNs < one.beginNs) return
        one.enrolment.push(timeNs, x, y, z)
        if (timeNs < one.beginNs + PERFORMANCE_NS) return
        performance = null
        change("kept as an example of ${one.label}") {
            it.add(Example(one.label, one.enrolment.end(), System.currentTimeMillis() / 1000))
        }
    }

    /** Change the examples, and decide with them. */
    private fun change(done: String = "", change: (Wearer) -> Unit) {
        val wearer = wearer ?: return
        try {
            change(wearer)
            classifier?.decideWith(wearer.profile)
            tellExamples(done)
        } catch (refused: NoExample) {
            tellExamples("not kept: ${refused.message}")
        }
    }

    private fun tellExamples(text: String) {
        val labels = wearer?.examples.orEmpty().map { it.label }
        Live.change { it.copy(examples = labels, enrolment = text, isEnrolling = false) }
    }

    private fun close() {
        classifier?.let { show(it, it.finish()) }
        endClip()
        wakeLock?.release()
        Live.change { it.copy(isRunning = false) }
    }

    private fun notification(): Notification {
        val intent = PendingIntent.getActivity(this, 0, Intent(this, MainActivity::class.java), PendingIntent.FLAG_IMMUTABLE)
        return Newer.notification(this).setSmallIcon(R.drawable.icon).setContentTitle(getString(R.string.app_name))
            .setContentText("Reads the movement of your wrist").setContentIntent(intent).setOngoing(true).build()
    }

    companion object {
        const val STOP = "vskd.STOP"
        const val RECORD = "vskd.RECORD"
        const val END = "vskd.END"
        const val ENROL = "vskd.ENROL"
        const val REMOVE = "vskd.REMOVE"
        const val LABEL = "label"
        const val NUMBER = "number"
        private const val NOTIFICATION = 1
        private const val BATCH_S = 2.0
        private const val WAIT_MS = 500L
        private const val SECOND_NS = 1_000_000_000L
        private const val COUNTDOWN_NS = 3 * SECOND_NS
        private const val PERFORMANCE_NS = 6 * SECOND_NS

        /** Ask the service, which is started where it does not run. */
        fun send(context: Context, action: String?, extras: Intent.() -> Unit = {}) =
            Newer.startService(context, Intent(context, WristService::class.java).setAction(action).apply(extras))

        /** The recordings, where `adb pull` finds them. */
        fun clips(context: Context) =
            Clips(File(context.getExternalFilesDir(null), "recordings"), About.PLACEMENT, Wrist.hasGravity)
    }
}
