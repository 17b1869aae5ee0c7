package vskd.app

import android.app.Activity
import android.view.Gravity
import android.view.View
import android.widget.Button
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView

/** A screen that shows the service's state while it is seen. */
abstract class LiveActivity : Activity() {
    private val listener: (State) -> Unit = { render(it) }

    protected abstract fun render(state: State)

    override fun onStart() {
        super.onStart()
        Live.listen(listener)
    }

    override fun onStop() {
        Live.forget(listener)
        super.onStop()
    }
}

/** One column of views that scrolls, and keeps clear of a round screen's edge. */
internal class Screen(private val activity: Activity) {
    private val column = LinearLayout(activity).apply {
        orientation = LinearLayout.VERTICAL
        setGravity(Gravity.CENTER_HORIZONTAL)
        val edge = resources.displayMetrics.widthPixels / 8
        setPadding(edge, edge, edge, edge)
    }

    fun show() = activity.setContentView(ScrollView(activity).apply { addView(column) })

    fun text(sizeSp: Float) = add(TextView(activity)).apply {
        textSize = sizeSp
        gravity = Gravity.CENTER
    }

    fun button(text: String, action: () -> Unit) = add(Button(activity)).apply {
        this.text = text
        setOnClickListener { action() }
    }

    private fun <T : View> add(view: T): T = view.also { column.addView(it, LinearLayout.LayoutParams.MATCH_PARENT, LinearLayout.LayoutParams.WRAP_CONTENT) }
}
