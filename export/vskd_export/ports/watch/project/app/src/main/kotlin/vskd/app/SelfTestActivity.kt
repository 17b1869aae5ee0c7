package vskd.app

import android.app.Activity
import android.os.Bundle
import vskd.About
import vskd.SelfTest
import vskd.selfTest

/** Replays the golden windows and streams on this watch, and shows whether they are Python's, and how fast. */
class SelfTestActivity : Activity() {
    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        val screen = Screen(this)
        val text = screen.text(TEXT_SP).apply { this.text = "testing ..." }
        screen.show()
        Thread {
            val found = report(selfTest(openEngine(this)))
            runOnUiThread { text.text = found }
        }.start()
    }

    private fun report(found: SelfTest) = listOf(
        if (found.isPassed) "passed" else "FAILED",
        About.BUNDLE,
        found.toString().replace(", ", "\n"),
    ).plus(found.problems.take(MOST_PROBLEMS)).joinToString("\n")

    private companion object {
        const val TEXT_SP = 12f
        const val MOST_PROBLEMS = 5
    }
}
