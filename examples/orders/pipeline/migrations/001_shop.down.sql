DROP TABLE shop.rejects, shop.order_lines, shop.orders, shop.buyers, shop.shops;
