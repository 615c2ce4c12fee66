package io.nativenorm.spark;

import io.nativenorm.StatisticsExchange;
import io.nativenorm.gloo.GlooExchange;
import java.io.Serializable;
import java.time.Duration;
import java.util.Collections;
import org.apache.spark.BarrierTaskContext;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.runtime.AbstractFunction1;

/** A worker as Spark runs it: finds the others, then does what it is there for. */
final class BarrierTask<X, T> extends AbstractFunction1<Iterator<X>, Iterator<T>>
    implements Serializable {
  private static final long serialVersionUID = 1L;

  private final Duration timeout;
  private final SparkExchange.Worker<X, T> worker;

  BarrierTask(Duration timeout, SparkExchange.Worker<X, T> worker) {
    this.timeout = timeout;
    this.worker = worker;
  }

  @Override
  public Iterator<T> apply(Iterator<X> samples) {
    try (StatisticsExchange exchange = connect(BarrierTaskContext.get())) {
      T result = worker.run(exchange, CollectionConverters.asJava(samples));
      return CollectionConverters.asScala(Collections.singletonList(result).iterator());
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /** Once all are connected they need rank 0 no more than each other, and no barrier at the end. */
  private StatisticsExchange connect(BarrierTaskContext context) {
    int rank = context.partitionId();
    int size = context.getTaskInfos().length;
    String address = context.getTaskInfos()[0].address(); // with a port of Spark's
    String host = address.substring(0, address.lastIndexOf(':'));
    if (rank == 0) {
      return GlooExchange.host(host, size, timeout, port -> context.allGather("" + port));
    }
    int port = Integer.parseInt(context.allGather("")[0]);
    return GlooExchange.connect(host, port, rank, size, timeout);
  }
}
