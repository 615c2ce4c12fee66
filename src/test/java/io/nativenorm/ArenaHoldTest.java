package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
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
    String refusal = null;
    for (int round = 1; refusal == null && round <= 100; round++) {
      refusal = closeAfter(round);
    }
    assertTrue(String.valueOf(refusal).contains("acquired by"), refusal);
  }

  /** Why an arena cannot be closed some milliseconds after a long call may have begun, or null. */
  private static String closeAfter(int milliseconds) throws Exception {
    TestArena arena = TestArena.of("Shared");
    try (LayerNorm layer = LayerNorm.builder(8).backend(Backend.JAVA).build();
        Tensor x = arena.tensor(1 << 17, 8)) {
      CompletableFuture<Void> call = CompletableFuture.runAsync(() -> layer.forward(x, x));
      Thread.sleep(milliseconds);
      try {
        arena.end();
        return null;
      } catch (IllegalStateException e) {
        call.join();
        arena.end();
        assertThrows(IllegalStateException.class, x::toArray);
        return e.getMessage();
      } finally {
        call.exceptionally(closed -> null).join();
      }
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
