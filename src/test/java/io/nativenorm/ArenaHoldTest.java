package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** An arena stays open while a call uses its memory: closing it crashes nothing. */
@LeavesMemoryToTheCollector
class ArenaHoldTest {
  private static final String ACCESS = "--enable-native-access=ALL-UNNAMED";

  @BeforeAll
  static void areThere() {
    Assumptions.assumeTrue(TestArena.ARE_THERE, "there are no arenas before JDK 22");
  }

  @Test
  void closingArenasBesideCallsCrashesNothing() throws Exception {
    JavaProcess process =
        JavaProcess.run(ArenaRace.class, Map.of(), ACCESS, "-Drounds=10000", "-Xmx256m");
    assertEquals(0, process.status(), process.output());
    Matcher counts =
        Pattern.compile(
                "10000 rounds, closed at once: (\\d+), closes refused: (\\d+), calls refused:"
                    + " (\\d+)")
            .matcher(process.output());
    assertTrue(counts.find(), process.output());
    for (int i = 1; i <= 3; i++) {
      assertTrue(Integer.parseInt(counts.group(i)) > 100, process.output());
    }
  }

  @Test
  void anArenaIsAcquiredWhileACallRuns() throws Exception {
    TestArena arena = TestArena.of("Shared");
    try (LayerNorm layer = LayerNorm.builder(8).backend(Backend.JAVA).build();
        Tensor x = arena.tensor(1 << 17, 8)) {
      CountDownLatch begun = new CountDownLatch(1);
      Thread caller =
          new Thread(
              () -> {
                begun.countDown();
                layer.forward(x, x);
              });
      caller.start();
      begun.await();
      String refusal = null;
      while (refusal == null && caller.isAlive()) {
        refusal = refusal(arena);
      }
      caller.join();
      assertTrue(refusal != null && refusal.contains("acquired by"), refusal);
      arena.end();
      assertThrows(IllegalStateException.class, x::toArray);
    }
  }

  /** Why an arena cannot be closed; closing is tried only when a call most likely runs. */
  private static String refusal(TestArena arena) throws Exception {
    Thread.sleep(2);
    try {
      arena.end();
      return "closed";
    } catch (IllegalStateException e) {
      return e.getMessage();
    }
  }

  @Test
  void whatACallThrowsComesThrough() throws Exception {
    try (TestArena arena = TestArena.of("Shared");
        LayerNorm layer = LayerNorm.of(3);
        Tensor x = arena.tensor(2, 3)) {
      x.copyFrom(new float[] {0.5f, 0, 0, 0, 0, 0});
      assertThrows(IllegalArgumentException.class, () -> x.to(DataType.I64));
      layer.forward(x, x); // and the next one works
      assertEquals(0, x.toArray()[5]);
    }
  }
}
