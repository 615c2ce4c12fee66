package io.nativenorm.engine.fused;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class InstructionSetsTest {
  private static final List<String> ALL = List.of("sse4", "avx2", "avx512");

  @ParameterizedTest
  @CsvSource({
    "sse4, 0",
    "avx2, 1",
    "avx512, 2",
    "AVX2, 1",
    "' avx2 ', 1",
    "neon, 2",
    ", 2",
  })
  void aNameIsTheMostThatIsUsed(String wanted, int expected) {
    assertEquals(expected, InstructionSets.choose(ALL, wanted));
  }

  @Test
  void moreThanThereIsIsWhatThereIs() {
    assertEquals(1, InstructionSets.choose(List.of("sse4", "avx2"), "avx512"));
    assertEquals(0, InstructionSets.choose(List.of("avx2"), "sse4"), "the least there is");
  }

  @Test
  void anotherArchitecturesNameAllowsAll() {
    assertEquals(0, InstructionSets.choose(List.of("neon"), "avx2"));
    assertEquals(0, InstructionSets.choose(List.of("neon"), "neon"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "avx", "avx-512", "sse4,avx2", "none"})
  void whatIsNoNameIsAnError(String wanted) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> InstructionSets.choose(ALL, wanted));
    assertEquals(
        "nativenorm.instructions expects sse4, avx2, avx512 or neon, but got " + wanted,
        e.getMessage());
  }
}
