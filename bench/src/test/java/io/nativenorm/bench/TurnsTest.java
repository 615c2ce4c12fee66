package io.nativenorm.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.nativenorm.DataType;
import java.io.IOException;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** NativeNorm and PyTorch take turns in one process. */
class TurnsTest {
  @Test
  void everyContestantHasItsTurnInEveryTypeThatItHas() throws IOException {
    List<Contestant> contestants = Mode.TURNS.contestants();
    List<Cell> cells =
        Stream.of("INFERENCE", "BACKWARD")
            .map(direction -> Cell.named("llama-token/CHANNELS_FIRST/" + direction))
            .flatMap(cell -> Stream.of(cell, cell.in(DataType.BF16)))
            .toList();
    List<Turns> turns = Turns.run(contestants, cells, Mode.SMOKE, 2);
    assertEquals(
        cells.stream()
            .flatMap(
                cell ->
                    contestants.stream()
                        .filter(contestant -> contestant.rejects(cell).isEmpty())
                        .map(contestant -> contestant.name() + " on " + cell.id()))
            .toList(),
        turns.stream().map(t -> t.contestant() + " on " + t.cell()).toList());
    for (Turns one : turns) {
      assertEquals(Mode.SMOKE.iterations(), one.microseconds().length);
      assertTrue(one.microseconds()[0] > 0.01 && one.microseconds()[0] < 1e5, one::toString);
    }
  }
}
