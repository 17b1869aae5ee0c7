package vskd.app

import android.content.Context
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter
import vskd.Answer
import vskd.Engine
import vskd.Wrist

/** The bundle's model file by LiteRT, for models that the plan is too slow for. Its bits are not those of the plan. */
fun openEngine(context: Context): Engine {
    val bytes = context.assets.open("model.tflite").use { it.readBytes() }
    val model = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
    return LiteRt(Interpreter(model, Interpreter.Options().setNumThreads(1)))
}

private class LiteRt(private val interpreter: Interpreter) : Engine {
    private val logits = arrayOf(FloatArray(Wrist.labels.size))
    private val embedding =
        if (interpreter.outputTensorCount > 1) arrayOf(FloatArray(interpreter.getOutputTensor(1).shape()[1])) else null

    override fun infer(window: Array<FloatArray>): Answer {
        val outputs = HashMap<Int, Any>().apply {
            put(0, logits)
            if (embedding != null) put(1, embedding)
        }
        interpreter.runForMultipleInputsOutputs(arrayOf<Any>(arrayOf(window)), outputs)
        return Answer(logits[0].copyOf(), embedding?.get(0)?.copyOf())
    }
}
