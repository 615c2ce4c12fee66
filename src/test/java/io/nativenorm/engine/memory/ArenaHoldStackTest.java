package io.nativenorm.engine.memory;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.JavaProcess;
import io.nativenorm.TestArena;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/** A stack that ends on the way into or out of a hold is a StackOverflowError, not a crash. */
class ArenaHoldStackTest {
  /** Overflows, each at another depth. */
  static final class Overflow {
    private static final int ROUNDS = 300;

    private static Memory[] memories;
    private static int uses;

    private static void recurse() {
      ArenaHold.during(memories, () -> uses++);
      recurse();
    }

    private static void after(int calls) {
      if (calls > 0) {
        after(calls - 1);
      } else {
        recurse();
      }
    }

    public static void main(String[] args) throws Exception {
      int overflows = 0;
      try (TestArena arena = TestArena.of("Shared")) {
        memories = new Memory[] {Memory.of(arena.floats(8))};
        for (int i = 0; i < ROUNDS; i++) {
          try {
            after(i * 7 % 1000);
          } catch (StackOverflowError e) {
            overflows++;
          }
        }
      }
      System.out.println(overflows + " overflows after uses: " + (uses > ROUNDS));
    }
  }

  @Test
  void itIsAnError() throws Exception {
    Assumptions.assumeTrue(TestArena.ARE_THERE, "there are no arenas before JDK 22");
    for (String mode : List.of("-XX:TieredStopAtLevel=4", "-Xint")) {
      JavaProcess process =
          JavaProcess.run(
              Overflow.class,
              Map.of(),
              "--enable-native-access=ALL-UNNAMED",
              "-Xss512k",
              "-XX:ErrorFile=/dev/null",
              mode);
      assertTrue(process.output().contains("300 overflows after uses: true"), process.output());
    }
  }
}
