package vskd.app

import android.os.Handler
import android.os.Looper

/** What the screens show of the service. */
data class State(
    val isRunning: Boolean = false,
    val title: String = "",
    val detail: String = "",
    val history: List<String> = listOf(),
    val recording: String? = null,
    val examples: List<String> = listOf(),
    val enrolment: String = "",
    val isEnrolling: Boolean = false,
)

/** The state of this process, and who looks at it; screens are told on the main thread. */
object Live {
    private const val LONGEST_HISTORY = 20
    private val main = Handler(Looper.getMainLooper())
    private val listeners = LinkedHashSet<(State) -> Unit>() // of the main thread

    @Volatile
    var state = State()
        private set

    fun listen(listener: (State) -> Unit) {
        listeners += listener
        listener(state)
    }

    fun forget(listener: (State) -> Unit) {
        listeners -= listener
    }

    @Synchronized
    fun change(change: (State) -> State) {
        val changed = change(state)
        state = changed.copy(history = changed.history.takeLast(LONGEST_HISTORY))
        main.post { for (listener in listeners.toList()) listener(state) }
    }
}
