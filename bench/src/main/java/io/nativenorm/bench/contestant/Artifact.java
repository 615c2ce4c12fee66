package io.nativenorm.bench.contestant;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** What Maven left in a jar. */
final class Artifact {
  private Artifact() {}

  /** The version of an artifact on the class path. */
  static String version(String group, String name) {
    String path = "/META-INF/maven/" + group + "/" + name + "/pom.properties";
    try (InputStream in = Artifact.class.getResourceAsStream(path)) {
      Properties properties = new Properties();
      properties.load(in);
      return properties.getProperty("version");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
