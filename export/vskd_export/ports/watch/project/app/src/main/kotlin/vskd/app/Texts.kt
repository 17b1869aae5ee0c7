package vskd.app

import vskd.Classifier
import vskd.Defect
import vskd.Event
import vskd.Reason

/** An event's label, and its probability where it is an activity. */
fun title(classifier: Classifier, event: Event): String {
    val name = classifier.nameOf(event.label)
    return if (event.label >= 0) "$name %.0f %%".format(100 * event.probability) else name
}

/** Why an event is no activity, and what is wrong with the signal. */
fun detail(event: Event): String {
    val reason = when (event.reason) {
        Reason.NONE, Reason.SIGNAL -> null
        Reason.NOT_FINITE -> "the model's answer is not finite"
        Reason.STILL -> "the wrist does not move"
        Reason.NO_SAMPLES -> "no samples"
        Reason.IMPROBABLE -> "no activity is probable enough"
        Reason.UNLIKE_EXAMPLES -> "unlike each of your examples"
    }
    return (listOfNotNull(reason) + event.defects.map { sentence(it.kind) }).joinToString("; ")
}

private fun sentence(kind: Defect.Kind): String = when (kind) {
    Defect.Kind.FROZEN -> "the sensor is frozen"
    Defect.Kind.ZEROS -> "the sensor reads 0"
    Defect.Kind.NO_GRAVITY -> "the sensor feels no gravity"
    Defect.Kind.EQUAL_AXES -> "two axes read the same"
    Defect.Kind.SATURATED -> "readings reach the end of the sensor's range in training"
    Defect.Kind.CUT_OFF -> "readings are cut off, as at the end of a range"
    Defect.Kind.RATE -> "the sensor runs at another rate"
    Defect.Kind.GRAVITY -> "gravity has the wrong length"
    Defect.Kind.DEAD_X, Defect.Kind.DEAD_Y, Defect.Kind.DEAD_Z -> "an axis reads one value"
    Defect.Kind.DIRECTION -> "gravity points elsewhere than in training: is it the other wrist?"
}
