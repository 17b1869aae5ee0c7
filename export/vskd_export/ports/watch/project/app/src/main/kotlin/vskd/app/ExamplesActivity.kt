package vskd.app

import android.app.AlertDialog
import android.os.Bundle
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import java.text.Normalizer
import vskd.Wrist

/** The wearer's examples: what there is, one more, one less. */
class ExamplesActivity : LiveActivity() {
    private lateinit var said: TextView
    private lateinit var more: Button
    private lateinit var less: Button
    private lateinit var all: TextView

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        val screen = Screen(this)
        said = screen.text(TEXT_SP)
        more = screen.button("Give an example") { choose() }
        less = screen.button("Remove one") { remove() }
        all = screen.text(TEXT_SP)
        screen.show()
    }

    override fun render(state: State) {
        said.text = if (state.isRunning) state.enrolment else "Start first: an example needs the sensor"
        more.isEnabled = state.isRunning && !state.isEnrolling
        less.isEnabled = state.isRunning && state.examples.isNotEmpty()
        all.text = state.examples.mapIndexed { at, label -> "${at + 1}. $label" }.joinToString("\n").ifEmpty { "No example yet." }
    }

    private fun choose() {
        val labels = (Wrist.labels + Live.state.examples).distinct()
        AlertDialog.Builder(this).setItems((labels + "another activity ...").toTypedArray()) { _, index ->
            if (index < labels.size) enrol(labels[index]) else name()
        }.show()
    }

    private fun name() {
        val field = EditText(this)
        AlertDialog.Builder(this).setTitle("Activity").setView(field)
            .setPositiveButton("Record") { _, _ -> enrol(Normalizer.normalize(field.text.toString().trim(), Normalizer.Form.NFC)) }
            .show()
    }

    private fun enrol(label: String) = WristService.send(this, WristService.ENROL) { putExtra(WristService.LABEL, label) }

    private fun remove() {
        val rows = Live.state.examples.mapIndexed { at, label -> "${at + 1}. $label" }.toTypedArray()
        AlertDialog.Builder(this).setItems(rows) { _, index ->
            WristService.send(this, WristService.REMOVE) { putExtra(WristService.NUMBER, index) }
        }.show()
    }

    private companion object {
        const val TEXT_SP = 12f
    }
}
