package vskd

import org.junit.Assert.assertEquals
import org.junit.Test

class GoldenTest {
    @Test
    fun goldenWindowsAndStreamsAreThoseOfPython() {
        val found = selfTest(openNetwork())
        assertEquals(listOf<String>(), found.problems)
        println(found)
    }
}
