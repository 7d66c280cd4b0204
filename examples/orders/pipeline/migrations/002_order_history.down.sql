DROP TABLE shop.order_status_history;
