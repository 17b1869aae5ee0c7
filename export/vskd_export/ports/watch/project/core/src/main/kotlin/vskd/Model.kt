package vskd

import java.io.DataInputStream
import java.io.InputStream
import kotlin.system.exitProcess

/** The network of this project's bundle. */
fun openNetwork(): Network = DataInputStream(resource("network.bin").buffered()).use(Network::read)

/** Whether this machine gives what Python gave. */
fun selfTest(engine: Engine): SelfTest = resource("golden.bin").use { SelfTest.run(Wrist, engine, it) }

private fun resource(name: String): InputStream =
    requireNotNull(Wrist::class.java.getResourceAsStream("/vskd/$name")) { "the resource vskd/$name is missing: build it again" }

/** The self-test on a JVM: a line, and one for each difference. */
fun main() {
    val found = selfTest(openNetwork())
    println(found)
    found.problems.forEach(::println)
    if (!found.isPassed) exitProcess(1)
}
