package vskd

import java.io.DataInputStream
import java.io.InputStream

/** The network of this project's bundle. */
fun openNetwork(): Network = DataInputStream(resource("network.bin").buffered()).use(Network::read)

/** Whether this machine gives what Python gave. */
fun selfTest(engine: Engine): SelfTest = resource("golden.bin").use { SelfTest.run(Wrist, engine, it) }

private fun resource(name: String): InputStream =
    requireNotNull(Wrist::class.java.getResourceAsStream("/vskd/$name")) { "the resource vskd/$name is missing: build it again" }
