package vskd.app

import android.app.AlertDialog
import android.content.Intent
import android.os.Bundle
import android.widget.Button
import android.widget.TextView
import android.widget.Toast
import java.io.File
import vskd.Wrist

/** What is decided, and the buttons: start, record, export, examples, self-test. */
class MainActivity : LiveActivity() {
    private lateinit var title: TextView
    private lateinit var detail: TextView
    private lateinit var history: TextView
    private lateinit var running: Button
    private lateinit var recording: Button

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        val screen = Screen(this)
        title = screen.text(TITLE_SP)
        detail = screen.text(DETAIL_SP)
        running = screen.button("Start") { WristService.send(this, if (Live.state.isRunning) WristService.STOP else null) }
        recording = screen.button("Record") { record() }
        screen.button("Export recordings") { export() }
        if (Wrist.examples > 0) screen.button("Your examples") { startActivity(Intent(this, ExamplesActivity::class.java)) }
        screen.button("Self-test") { startActivity(Intent(this, SelfTestActivity::class.java)) }
        history = screen.text(DETAIL_SP)
        screen.show()
        Newer.askForNotifications(this)
    }

    override fun render(state: State) {
        title.text = state.title.ifEmpty { getString(R.string.app_name) }
        detail.text = state.detail
        running.text = if (state.isRunning) "Stop" else "Start"
        recording.text = state.recording?.let { "End recording of $it" } ?: "Record"
        recording.isEnabled = state.isRunning
        history.text = state.history.reversed().joinToString("\n")
    }

    private fun record() {
        if (Live.state.recording != null) {
            WristService.send(this, WristService.END)
            return
        }
        val labels = Wrist.labels.toTypedArray()
        AlertDialog.Builder(this).setItems(labels) { _, index ->
            WristService.send(this, WristService.RECORD) { putExtra(WristService.LABEL, labels[index]) }
        }.show()
    }

    /** Beside the recordings, where `adb pull` finds it. */
    private fun export() {
        val clips = WristService.clips(this)
        val file = File(getExternalFilesDir(null), "recordings.zip")
        Thread {
            file.outputStream().use { clips.export(it) }
            runOnUiThread { Toast.makeText(this, "${clips.size} recordings in $file", Toast.LENGTH_LONG).show() }
        }.start()
    }

    private companion object {
        const val TITLE_SP = 22f
        const val DETAIL_SP = 12f
    }
}
