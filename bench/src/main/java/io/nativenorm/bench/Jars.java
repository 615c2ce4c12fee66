package io.nativenorm.bench;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** What a contestant adds to a program's class path. */
final class Jars {
  /** The classifiers of platforms that are not this one. */
  private static final Pattern FOREIGN =
      Pattern.compile("-(macosx|windows|android|ios)-|-linux-(?!x86_64\\.jar)");

  private Jars() {}

  /** Bytes of the jars whose names begin with one of the prefixes, for this platform alone. */
  static long bytes(List<String> prefixes) throws IOException {
    // The jar that holds this class names all others.
    try (JarFile own = new JarFile(System.getProperty("java.class.path"))) {
      String path = own.getManifest().getMainAttributes().getValue(Attributes.Name.CLASS_PATH);
      return Stream.of(path.split(" "))
          .map(entry -> new File(URI.create("file://" + entry)))
          .filter(file -> prefixes.stream().anyMatch(file.getName()::startsWith))
          .filter(file -> !FOREIGN.matcher(file.getName()).find())
          .mapToLong(File::length)
          .sum();
    }
  }
}
