package io.nativenorm.bench;

import io.nativenorm.DataType;
import java.util.List;
import java.util.Optional;

/**
 * A way for a JVM program to normalize. Making one loads nothing native; a process prepares
 * sessions of one contestant only, for several bring their own copy of the same native library.
 */
public interface Contestant {
  /** As the reports call it. */
  String name();

  /** The version of the library, read from it or from its artifact. */
  String version();

  /** Why it is not raced on a cell; nothing if it is. */
  default Optional<String> rejects(Cell cell) {
    return types().contains(cell.type()) ? lacks(cell) : Optional.of("it is raced in " + types());
  }

  /** In which it has operators of its own. */
  default List<DataType> types() {
    return List.of(DataType.F32);
  }

  /** Why it does not have this operation, layout or direction; nothing if it does. */
  Optional<String> lacks(Cell cell);

  /** How the names of the jars begin that a program needs for it; none for plain Java. */
  List<String> jars();

  /** Makes everything a program would make once: memory, layers, models, compiled kernels. */
  Session prepare(Workload workload);

  /** A prepared problem, used by one thread. */
  interface Session extends AutoCloseable {
    /** One call, as a program makes it again and again on memory it has. */
    void call();

    /** What the last call computed, copied; running statistics after a single call. */
    Results results();

    @Override
    void close();
  }
}
